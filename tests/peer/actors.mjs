// Handles: by key, by id, with input; actions; the end of a client.
import { check, client, ensure, equal, eventually, failure, given, key, newClient, run } from "./checks.mjs";

check("get or create", async () => {
	const name = key("shared");
	const [one, two] = [client.counter.getOrCreate(name), newClient().counter.getOrCreate(name)];
	equal(await one.increment(5), 5);
	equal(await two.getCount(), 5);
	equal(await one.resolve(), await two.resolve());
	equal(await one.getKey(), name);
});

check("get", async () => {
	const name = key("existing");
	await client.counter.getOrCreate(name).increment(3);
	equal(await client.counter.get(name).getCount(), 3);
});

check("get of a missing key", async () => {
	const { group, code } = await failure(() => client.counter.get(key("missing")).getCount());
	equal([group, code], ["actor", "not_found"]);
});

check("get for id", async () => {
	const handle = client.counter.getOrCreate(key("by-id"));
	await handle.increment(7);
	equal(await client.counter.getForId(await handle.resolve()).getCount(), 7);
});

const INPUT = { name: "h\u00e9llo", list: [1, 2.5, null, true], nested: { deep: ["$x", { y: -1 }] } };

check("create with input", async () => {
	const handle = await client.inputActor.create(key("input"), { input: INPUT });
	equal(await handle.getInputs(), { initialInput: INPUT, onCreateInput: INPUT });
});

check("create of an existing key", async () => {
	const name = key("twice");
	await client.counter.create(name);
	const { group, code } = await failure(() => client.counter.create(name));
	equal([group, code], ["actor", "duplicate_key"]);
});

check("get or create with input", async () => {
	const handle = client.inputActor.getOrCreate(key("input"), { createWithInput: INPUT });
	equal((await handle.getInputs()).initialInput, INPUT);
});

check("resolve", async () => {
	const handle = client.counter.getOrCreate(key("resolve"));
	const id = await handle.resolve();
	ensure(typeof id === "string" && id.length === 30, `an id: ${id}`);
	await handle.increment(1);
	equal(await handle.resolve(), id);
});

check("keys are told apart", async () => {
	const [unique] = key();
	const names = [[unique, "a", "b"], [unique, "a/b"], [unique, "a", ""], [unique, "a"]];
	const ids = [];
	for (const name of names) {
		const handle = client.counter.getOrCreate(name);
		equal(await handle.getKey(), name);
		ids.push(await handle.resolve());
	}
	equal(new Set(ids).size, names.length);
});

check("action by name", async () => {
	const handle = client.counter.getOrCreate(key("named"));
	equal(await handle.action({ name: "setCount", args: [41] }), 41);
	equal(await handle.action({ name: "increment", args: [1] }), 42);
});

check("concurrent actions", async () => {
	const handle = client.counter.getOrCreate(key("concurrent"));
	const counts = await Promise.all(Array.from({ length: 50 }, () => handle.increment(1)));
	equal(counts.toSorted((a, b) => a - b), Array.from({ length: 50 }, (_, index) => index + 1));
});

check("rich values", async () => {
	const value = { big: 2n ** 70n, bytes: new Uint8Array([0, 1, 255]), unicode: "\u{1f600}", zero: 0, far: 2 ** 40 };
	const handle = client.counter.getOrCreate(key("rich"));
	equal({ ...(await handle.setCount(value)) }, value);
	const read = await handle.getCount();
	equal({ ...read, bytes: new Uint8Array(read.bytes) }, value);
});

check("gateway URL", async () => {
	const name = key("url");
	const handle = client.rawHttpActor.getOrCreate(name);
	const id = await handle.resolve();
	const byKey = new URL(await handle.getGatewayUrl());
	equal([byKey.origin, byKey.pathname, byKey.searchParams.get("rvt-key")], [given.endpoint, "/gateway/rawHttpActor", name.join(",")]);
	const byId = await client.rawHttpActor.getForId(id).getGatewayUrl();
	ensure(byId.startsWith(`${given.endpoint}/gateway/${id}`), byId);
	equal(await (await fetch(`${byId}/request/api/hello`)).json(), { message: "Hello from actor!" });
	byKey.pathname += "/request/api/hello";
	equal(await (await fetch(byKey)).json(), { message: "Hello from actor!" });
});

check("dispose of a client", async () => {
	const name = key("dispose");
	const other = newClient();
	const conn = other.counterConn.getOrCreate(name).connect();
	equal(await conn.getConnectionCount(), 1);
	await other.dispose();
	ensure(conn.connStatus !== "connected", conn.connStatus);
	// Asking over HTTP is a connection of its own.
	await eventually(() => client.counterConn.getOrCreate(name).getConnectionCount(), (count) => count === 1);
});

await run();
