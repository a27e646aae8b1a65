// Queues: sending, waiting for completion, limits.
import { check, client, ensure, equal, eventually, failure, key, run } from "./checks.mjs";

check("send", async () => {
	const handle = client.queueActor.getOrCreate(key("send"));
	await handle.send("greeting", { hello: "world" });
	equal(await handle.receiveOne("greeting", { timeout: 5_000 }), { name: "greeting", body: { hello: "world" } });
});

check("order", async () => {
	const handle = client.queueActor.getOrCreate(key("order"));
	for (const body of [1, 2, 3]) await handle.send("a", body);
	equal((await handle.receiveMany(["a"], { count: 3, timeout: 5_000 })).map((message) => message.body), [1, 2, 3]);
});

check("a waiting receiver", async () => {
	const handle = client.queueActor.getOrCreate(key("waiting"));
	const received = handle.receiveOne("b", { timeout: 20_000 });
	await handle.send("b", "now");
	equal(await received, { name: "b", body: "now" });
});

check("nothing to receive", async () => {
	const handle = client.queueActor.getOrCreate(key("nothing"));
	equal(await handle.receiveOne("missing", { timeout: 20 }), null);
});

check("enqueue and wait", async () => {
	const handle = client.queueActor.getOrCreate(key("wait"));
	const sent = handle.send("tasks", { value: 123 }, { wait: true, timeout: 20_000 });
	equal(await handle.receiveAndComplete("tasks"), { name: "tasks", body: { value: 123 } });
	equal(await sent, { status: "completed", response: { echo: { value: 123 } } });
});

check("completion that does not come", async () => {
	const handle = client.queueActor.getOrCreate(key("late"));
	const result = await handle.send("timeout", { value: 1 }, { wait: true, timeout: 50 });
	equal(result.status, "timedOut");
});

check("send on a connection", async () => {
	const handle = client.queueActor.getOrCreate(key("conn"));
	const conn = handle.connect();
	await conn.send("self", { value: "c" });
	equal(await conn.receiveOne("self", { timeout: 5_000 }), { name: "self", body: { value: "c" } });
	await conn.dispose();
});

check("a run handler completes", async () => {
	const handle = client.manyQueueChildActor.getOrCreate(key("run"), { createWithInput: "child" });
	const results = await Promise.all([0, 7, 31].map((index) => handle.send(`cmd.${index}`, { index }, { wait: true, timeout: 20_000 })));
	equal(results.map((result) => result.response), [0, 7, 31].map((index) => ({ ok: true, index })));
	const snapshot = await eventually(() => handle.getSnapshot(), (got) => got.processed.length === 3);
	equal(snapshot.processed.toSorted(), ["cmd.0", "cmd.31", "cmd.7"]);
});

check("full queue", async () => {
	const handle = client.queueLimitedActor.getOrCreate(key("full"));
	await handle.send("message", 1);
	const { group, code } = await failure(() => handle.send("message", 2));
	equal([group, code], ["queue", "full"]);
});

check("message that is too large", async () => {
	const handle = client.queueLimitedActor.getOrCreate(key("large"));
	const { group, code } = await failure(() => handle.send("oversize", "x".repeat(200)));
	equal([group, code], ["queue", "message_too_large"]);
	ensure((await handle.resolve()).length === 30, "the actor is there");
});

await run();
