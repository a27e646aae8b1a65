// Connections and raw sockets that outlive the sleep of their actor.
import { asleep, check, client, equal, eventually, key, listen, run } from "./checks.mjs";

async function connected(handle) {
	const conn = handle.connect();
	await conn.ready;
	const closes = [];
	conn.onClose(() => closes.push("closed"));
	return { conn, closes, id: await handle.resolve() };
}

check("a call on the connection wakes the actor", async () => {
	const { conn, closes, id } = await connected(client.hibernationActor.getOrCreate(key("wake")));
	equal(await conn.ping(), "pong");
	await conn.triggerSleep();
	await asleep(id);
	equal(await conn.getActorCounts(), { sleepCount: 1, wakeCount: 2 });
	equal(closes, []);
	await conn.dispose();
});

check("connection state survives", async () => {
	const { conn, closes, id } = await connected(client.hibernationActor.getOrCreate(key("state")));
	equal([await conn.connIncrement(), await conn.connIncrement()], [1, 2]);
	const before = await conn.getConnectionIds();
	await conn.triggerSleep();
	await asleep(id);
	equal(await conn.connIncrement(), 3);
	equal(await conn.getConnectionIds(), before);
	equal(await conn.getConnLifecycleCounts(), { connectCount: 1, disconnectCount: 0 });
	equal(closes, []);
	await conn.dispose();
});

check("events after the wake arrive", async () => {
	const handle = client.hibernationSleepWindowActor.getOrCreate(key("events"));
	const { conn, closes, id } = await connected(handle);
	let events = 0;
	conn.on("sleeping", () => (events += 1));
	await conn.getActorCounts();
	for (const round of [1, 2, 3]) {
		await handle.triggerSleep();
		await eventually(() => events, (count) => count === round);
		await asleep(id);
		// Somebody else wakes the actor: the connection says nothing, its subscription is restored all the same.
		await eventually(() => handle.getActorCounts(), (counts) => counts.wakeCount === round + 1);
	}
	equal(closes, []);
	await conn.dispose();
});

check("a connection that leaves during the sleep is gone", async () => {
	const handle = client.hibernationActor.getOrCreate(key("leave"));
	const { conn, id } = await connected(handle);
	await conn.triggerSleep();
	await asleep(id);
	await conn.dispose();
	const watching = handle.connect();
	await eventually(() => watching.getConnectionIds(), (ids) => ids.length === 1);
	await watching.dispose();
});

check("a raw socket goes on", async () => {
	const handle = client.rawWebSocketActor.getOrCreate(key("raw"));
	const socket = await handle.webSocket();
	const ear = listen(socket);
	equal(await ear.nextJson(), { type: "welcome", connectionCount: 1 });
	await handle.triggerSleep();
	await asleep(await handle.resolve());
	socket.send(JSON.stringify({ type: "getStats" }));
	// The open handler of the new generation may greet again first.
	const stats = await eventually(ear.nextJson, (message) => message.type === "stats");
	equal(stats.messageCount, 1);
	equal(ear.closed, undefined);
	socket.close();
});

await run();
