// Raw HTTP requests and raw WebSockets.
import { check, client, ensure, equal, key, listen, run } from "./checks.mjs";

check("fetch", async () => {
	const response = await client.rawHttpActor.getOrCreate(key("get")).fetch("api/hello");
	equal([response.status, response.headers.get("content-type")], [200, "application/json"]);
	equal(await response.json(), { message: "Hello from actor!" });
});

check("fetch with a body", async () => {
	const body = new Uint8Array(Array.from({ length: 1_000 }, (_, index) => index % 256));
	const init = { method: "POST", body, headers: { "content-type": "application/x-test" } };
	const response = await client.rawHttpActor.getOrCreate(key("post")).fetch("/api/echo", init);
	equal([response.status, response.headers.get("content-type")], [200, "application/x-test"]);
	equal(new Uint8Array(await response.arrayBuffer()), body);
});

check("fetch with headers", async () => {
	const response = await client.rawHttpActor.getOrCreate(key("headers")).fetch("api/headers", { headers: { "x-custom": "value" } });
	equal((await response.json())["x-custom"], "value");
});

check("fetch of a Request", async () => {
	const request = new Request("http://actor/users/1?x=1", { method: "PUT", body: '{"name":"Ann"}', headers: { "content-type": "application/json" } });
	const response = await client.rawHttpHonoActor.getOrCreate(key("request")).fetch(request);
	equal([response.status, await response.json()], [200, { id: 1, name: "Ann" }]);
});

check("fetch with a query", async () => {
	const response = await client.rawHttpRequestPropertiesActor.getOrCreate(key("query")).fetch("a%20path/x?one=1&two=a%20b");
	const seen = await response.json();
	equal([seen.search, seen.searchParams], ["?one=1&two=a%20b", { one: "1", two: "a b" }]);
	ensure(seen.pathname === "/a%20path/x" || seen.pathname === "/a path/x", seen.pathname);
});

check("statuses of fetch", async () => {
	const handle = client.rawHttpActor.getOrCreate(key("status"));
	equal((await handle.fetch("nowhere")).status, 404);
	equal((await client.rawHttpHonoActor.getOrCreate(key("status")).fetch("users", { method: "POST", body: "{}" })).status, 201);
	equal(await (await handle.fetch("api/state")).json(), { requestCount: 2 });
});

check("fetch without a handler", async () => {
	const response = await client.rawHttpNoHandlerActor.getOrCreate(key("none")).fetch("api/anything");
	equal(response.status, 404);
});

check("web socket", async () => {
	const handle = client.rawWebSocketActor.getOrCreate(key("socket"));
	const socket = await handle.webSocket();
	const ear = listen(socket);
	equal(await ear.nextJson(), { type: "welcome", connectionCount: 1 });
	socket.send("plain text");
	equal(await ear.next(), "plain text");
	socket.send(JSON.stringify({ type: "ping" }));
	equal((await ear.nextJson()).type, "pong");
	socket.send(JSON.stringify({ type: "getStats" }));
	equal(await ear.nextJson(), { type: "stats", connectionCount: 1, messageCount: 3 });
	socket.close(1000, "done");
});

check("binary messages", async () => {
	const socket = await client.rawWebSocketBinaryActor.getOrCreate(key("binary")).webSocket();
	const ear = listen(socket);
	await opened(socket);
	socket.send(new Uint8Array([1, 2, 3, 255]));
	equal(new Uint8Array(await ear.next()), new Uint8Array([255, 3, 2, 1]));
	socket.close();
});

check("path and query of a web socket", async () => {
	const socket = await client.rawWebSocketActor.getOrCreate(key("path")).webSocket("sub/path?token=secret");
	const ear = listen(socket);
	await ear.nextJson();
	socket.send(JSON.stringify({ type: "getRequestInfo" }));
	const info = await ear.nextJson();
	ensure(info.pathname.endsWith("/sub/path") && info.search === "?token=secret", JSON.stringify(info));
	socket.close();
});

check("several web sockets", async () => {
	const handle = client.rawWebSocketActor.getOrCreate(key("several"));
	const sockets = [];
	for (const count of [1, 2, 3]) {
		const socket = await handle.webSocket();
		const ear = listen(socket);
		equal((await ear.nextJson()).connectionCount, count);
		sockets.push({ socket, ear });
	}
	sockets[1].socket.send("only here");
	equal(await sockets[1].ear.next(), "only here");
	equal([sockets[0].ear.heard, sockets[2].ear.heard], [[], []]);
	for (const { socket } of sockets) socket.close();
});

const opened = (socket) => (socket.readyState === 1 ? undefined : new Promise((resolve) => socket.addEventListener("open", resolve)));

await run();
