// Connections and the events on them.
import { check, client, ensure, equal, eventually, failure, key, newClient, run } from "./checks.mjs";

check("connect", async () => {
	const conn = client.counter.getOrCreate(key("connect")).connect();
	await conn.ready;
	equal(conn.connStatus, "connected");
	equal(await conn.increment(2), 2);
	await conn.dispose();
});

check("calls before the connection stands", async () => {
	const conn = client.counter.getOrCreate(key("early")).connect();
	equal(await Promise.all([conn.increment(1), conn.increment(1), conn.increment(1)]), [1, 2, 3]);
	await conn.dispose();
});

check("events reach every subscriber", async () => {
	const name = key("events");
	const conns = [client, newClient()].map((each) => each.counter.getOrCreate(name).connect());
	const heard = conns.map(() => []);
	conns.forEach((conn, index) => conn.on("newCount", (count) => heard[index].push(count)));
	await Promise.all(conns.map((conn) => conn.getCount()));
	await conns[0].increment(4);
	await client.counter.getOrCreate(name).increment(1);
	for (const list of heard) equal(await eventually(() => list, (got) => got.length === 2), [4, 5]);
	await Promise.all(conns.map((conn) => conn.dispose()));
});

check("once", async () => {
	const conn = client.counter.getOrCreate(key("once")).connect();
	const [once, all] = [[], []];
	conn.once("newCount", (count) => once.push(count));
	conn.on("newCount", (count) => all.push(count));
	await conn.increment(1);
	await conn.increment(1);
	await eventually(() => all, (got) => got.length === 2);
	equal(once, [1]);
	await conn.dispose();
});

check("unsubscribe", async () => {
	const conn = client.counter.getOrCreate(key("unsubscribe")).connect();
	const [first, second] = [[], []];
	const stop = conn.on("newCount", (count) => first.push(count));
	conn.on("newCount", (count) => second.push(count));
	await conn.increment(1);
	stop();
	await conn.increment(1);
	await eventually(() => second, (got) => got.length === 2);
	equal(first, [1]);
	await conn.dispose();
});

check("connection state", async () => {
	const name = key("state");
	const [one, two] = [client.counterConn.getOrCreate(name).connect(), client.counterConn.getOrCreate(name).connect()];
	await Promise.all([one.setCount(5), two.setCount(7)]);
	await one.increment(1);
	equal([await one.getCount(), await two.getCount()], [6, 7]);
	equal(await one.getConnectionCount(), 2);
	await two.dispose();
	await eventually(() => one.getConnectionCount(), (count) => count === 1);
	await one.dispose();
});

check("parameters", async () => {
	const name = key("params");
	const conn = client.counterWithParams.getOrCreate(name, { params: { name: "ann" } }).connect();
	const heard = [];
	conn.on("newCount", (event) => heard.push(event));
	await conn.increment(1);
	equal(await eventually(() => heard, (got) => got.length === 1), [{ count: 1, by: "ann" }]);
	equal((await conn.getInitializers())[0], "ann");
	await conn.dispose();
});

check("a rejected connection", async () => {
	const conn = client.rejectConnectionActor.getOrCreate(key("reject"), { params: { reject: true } }).connect();
	const errors = [];
	conn.onError((error) => errors.push([error.group, error.code, error.message]));
	equal((await eventually(() => errors, (got) => got.length > 0))[0], ["user", "rejected", "Rejected connection"]);
	await conn.dispose();
});

check("errors of actions on a connection", async () => {
	const conn = client.errorHandlingActor.getOrCreate(key("errors")).connect();
	const { group, code, message, metadata } = await failure(() => conn.throwDetailedError());
	equal([group, code, message, metadata.reason], ["user", "detailed_error", "Detailed error message", "test"]);
	equal(await conn.successfulAction(), "success");
	await conn.dispose();
});

check("statuses", async () => {
	const conn = client.counter.getOrCreate(key("status")).connect();
	const seen = [];
	conn.onStatusChange((status) => seen.push(status));
	let opened = 0;
	let closed = 0;
	conn.onOpen(() => (opened += 1));
	conn.onClose(() => (closed += 1));
	await conn.ready;
	await conn.dispose();
	await eventually(() => conn.connStatus !== "connected" && closed === 1);
	ensure(seen.includes("connected"), seen.join());
	equal(opened, 1);
});

await run();
