// A server that wants a token for what operators ask of it.
import { asleep, check, client, equal, given, key, listen, newClient, record, run } from "./checks.mjs";

check("with the token", async () => {
	const name = key("token");
	const handle = await client.counter.create(name);
	equal(await handle.increment(2), 2);
	equal(await client.counter.getForId(await handle.resolve()).getCount(), 2);
	equal(await client.counter.getOrCreate(name).getCount(), 2);
});

check("the operators' requests", async () => {
	const status = async (headers) => {
		const response = await fetch(`${given.endpoint}/namespaces`, { headers });
		return [response.status, (await response.json()).code];
	};
	equal(await status({}), [403, "forbidden"]);
	equal(await status({ authorization: `Bearer ${given.token}x` }), [403, "forbidden"]);
	equal(await status({ authorization: `Bearer ${given.token}` }), [200, undefined]);
	const id = await client.counter.getOrCreate(key("token")).resolve();
	equal((await fetch(`${given.endpoint}/actors/${id}?namespace=default`, { method: "DELETE" })).status, 403);
	equal((await record(id)).destroy_ts, null);
});

check("clients without the token", async () => {
	// Only operators are kept out; who may call an actor is for the actor to say.
	const name = key("token");
	equal(await newClient({ token: undefined }).counter.getOrCreate(name).increment(1), 1);
	equal(await newClient({ token: "another" }).counter.get(name).increment(1), 2);
});

check("connections, requests and sockets", async () => {
	const conn = client.counter.getOrCreate(key("token")).connect();
	equal(await conn.increment(1), 1);
	await conn.dispose();
	const response = await client.rawHttpActor.getOrCreate(key("token")).fetch("api/hello");
	equal(await response.json(), { message: "Hello from actor!" });
	const byId = client.rawHttpActor.getForId(await client.rawHttpActor.getOrCreate(key("token")).resolve());
	equal((await byId.fetch("api/hello")).status, 200);
	const socket = await client.rawWebSocketActor.getOrCreate(key("token")).webSocket();
	equal((await listen(socket).nextJson()).type, "welcome");
	socket.close();
});

check("gateway URL", async () => {
	const url = new URL(await client.rawHttpActor.getOrCreate(key("token")).getGatewayUrl());
	equal(url.searchParams.get("rvt-token"), given.token);
	url.pathname += "/request/api/hello";
	equal((await fetch(url)).status, 200);
});

check("sleep and wake", async () => {
	const handle = client.sleep.getOrCreate(key("token"));
	const id = await handle.resolve();
	await handle.triggerSleep();
	await asleep(id);
	equal(await handle.getCounts(), { startCount: 2, sleepCount: 1 });
});

await run();
