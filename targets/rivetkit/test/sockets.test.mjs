// Connections, raw WebSockets and raw HTTP.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, Peer } from "./peer.mjs";

let peer;
before(async () => {
  peer = await Peer.start();
});
after(() => peer.stop());

const on = (name, key = "a") => (action, ...args) => peer.call(name, key, action, args);

test("connection state and events", async () => {
  const conn = await peer.connect("counterConn", "c").ready();
  conn.subscribe("newCount");
  assert.equal(await conn.call("increment", 2), undefined);
  assert.deepEqual(await conn.event("newCount"), { name: "newCount", args: [2] });
  assert.equal(await conn.call("getCount"), 2);
  assert.equal(await on("counterConn", "c")("getConnectionCount"), 2);
  await conn.close();
  await eventually(() => on("counterConn", "c")("getConnectionCount"), (count) => count === 1, "disconnect counted");
});

test("two connections of conn-state", async () => {
  const first = await peer.connect("connStateActor", "s", { username: "ann", role: "admin" }).ready();
  const { id, username } = (await first.event("connectedFromOnConnect")).args[0];
  assert.equal(username, "ann");
  assert.deepEqual((await first.event("connectedFromOnConnectConns")).args, [{ id, username }]);
  const second = await peer.connect("connStateActor", "s").ready();
  await first.call("incrementConnCounter");
  assert.equal(await second.call("incrementSharedCounter", 5), 5);
  assert.equal((await first.call("getConnectionState")).counter, 1);
  const ids = await second.call("getConnectionIds");
  assert.ok(ids.length === 2 && ids.includes(id));
  assert.equal(await second.call("sendToConnection", id, "hi"), true);
  assert.equal((await first.event("directMessage")).args[0].message, "hi");
  assert.equal((await second.call("updateConnection", { username: "bob", role: "" })).username, "bob");
  assert.equal((await second.call("getAllConnectionStates")).length, 2);
  second.send({ body: { tag: "ActionRequest", val: { id: 99, name: "disconnectSelf", args: [] } } });
  assert.deepEqual(await second.closed, { code: 1000, reason: "test.disconnect" });
  await eventually(() => first.call("getDisconnectionCount"), (count) => count === 1, "disconnect counted");
  await first.close();
});

/** Rows of actor, connection parameters, group, code, text that the message must contain. */
const REFUSED = [
  ["rejectConnectionActor", { reject: true }, "user", "rejected", "Rejected connection"],
  ["accessControlActor", { allowWebSocket: false }, "auth", "forbidden", "Forbidden"],
  ["connErrorSerializationActor", { shouldThrow: true }, "connection", "custom_error", "Test error from createConnState"],
  ["connErrorSerializationActor", undefined, "rivetkit", "internal_error", ""],
  ["connPreflightVisibilityActor", { rejectBefore: true }, "rivetkit", "internal_error", "rejected before connect"],
  ["connPreflightVisibilityActor", { rejectCreate: true }, "rivetkit", "internal_error", "rejected create conn state"],
  ["beforeConnectTimeoutActor", undefined, "actor", "callback_timed_out", "callback `onBeforeConnect` timed out after 100 ms"],
  ["beforeConnectRejectActor", { shouldReject: true }, "user", "connection_rejected", "Connection rejected by policy"],
  ["beforeConnectGenericErrorActor", { shouldFail: true }, "rivetkit", "internal_error", "internal failure in onBeforeConnect"],
  ["counterWithParams", undefined, "rivetkit", "internal_error", ""],
];

for (const [index, [name, params, group, code, text]] of REFUSED.entries()) {
  test(`${name} refuses ${JSON.stringify(params)}`, async () => {
    const conn = peer.connect(name, `refused-${index}`, params);
    assert.equal(await conn.pump(), "Error");
    assert.deepEqual({ group: conn.error.group, code: conn.error.code }, { group, code });
    assert.ok(conn.error.message.includes(text), conn.error.message);
    assert.deepEqual(await conn.closed, { code: 1011, reason: `${group}.${code}` });
  });
}

test("access control of events and queues", async () => {
  const call = on("accessControlActor");
  const send = (queue) => peer.send("accessControlActor", "a", queue, "body");
  assert.deepEqual(await send("allowedQueue"), { status: "completed" });
  assert.match(await call("allowedGetLastCanPublishConnId"), /^[0-9a-f-]{36}$/);
  assert.equal(await call("allowedReceiveQueue"), "body");
  await assert.rejects(send("blockedQueue"), { group: "auth", code: "forbidden", status: 403 });
  assert.deepEqual(await send("undeclared"), { status: "completed" });
  assert.equal(await call("allowedReceiveAnyQueue"), null);
  const conn = await peer.connect("accessControlActor", "a").ready();
  conn.subscribe("allowedEvent");
  conn.subscribe("undefinedEvent");
  await conn.call("allowedBroadcastAllowedEvent", 1);
  await conn.call("allowedBroadcastUndefinedEvent", 2);
  assert.deepEqual(await conn.event("allowedEvent"), { name: "allowedEvent", args: [{ value: 1 }] });
  assert.deepEqual(await conn.event("undefinedEvent"), { name: "undefinedEvent", args: [{ value: 2 }] });
  conn.subscribe("blockedEvent");
  assert.deepEqual(await conn.closed, { code: 1011, reason: "auth.forbidden" });
  assert.deepEqual(await (await peer.fetch("accessControlActor", "a", "/status")).json(), { ok: true });
  const socket = peer.socket("accessControlActor", "a");
  assert.deepEqual(await socket.receiveJson(), { type: "welcome" });
  await socket.close();
  const denied = peer.socket("accessControlActor", "a", "/websocket/", { allowRequest: false });
  assert.deepEqual(await denied.closed, { code: 1011, reason: "auth.forbidden" });
});

test("raw HTTP", async () => {
  const fetch = (path, init) => peer.fetch("rawHttpActor", "h", path, init);
  assert.deepEqual(await (await fetch("/api/hello")).json(), { message: "Hello from actor!" });
  const echo = await fetch("/api/echo", { method: "POST", body: "bytes", headers: { "x-own": "1" } });
  assert.equal(await echo.text(), "bytes");
  assert.equal(echo.headers.get("x-own"), "1");
  assert.equal((await fetch("/api/echo")).status, 404);
  assert.deepEqual(await (await fetch("/api/state")).json(), { requestCount: 4 });
  assert.equal((await (await fetch("/api/headers", { headers: { "x-own": "2" } })).json())["x-own"], "2");
  const missing = await peer.fetch("rawHttpNoHandlerActor", "h", "/x");
  assert.deepEqual([missing.status, await missing.text()], [404, ""]);
  const nothing = await peer.fetch("rawHttpVoidReturnActor", "h", "/x");
  assert.deepEqual([nothing.status, (await nothing.json()).code], [500, "internal_error"]);
});

test("raw HTTP with a router", async () => {
  const json = (method, body) => ({ method, body, headers: { "content-type": "application/json" } });
  const rows = [
    ["/", undefined, 200, { message: "Welcome to Hono actor!" }],
    ["/users/1", undefined, 200, { id: 1, name: "Alice" }],
    ["/users/x", undefined, 200, { id: null, name: "Bob" }],
    ["/users", json("POST", '{"name":"C"}'), 201, { id: 3, name: "C" }],
    ["/users/4", json("PUT", '{"name":"D"}'), 200, { id: 4, name: "D" }],
    ["/users/4", { method: "DELETE" }, 200, { message: "User 4 deleted" }],
  ];
  for (const [path, init, status, body] of rows) {
    const response = await peer.fetch("rawHttpHonoActor", "h", path, init);
    assert.deepEqual([response.status, await response.json()], [status, body]);
  }
  const unmatched = await peer.fetch("rawHttpHonoActor", "h", "/users/");
  assert.deepEqual([unmatched.status, await unmatched.text()], [404, "404 Not Found"]);
  const broken = await peer.fetch("rawHttpHonoActor", "h", "/users", json("POST", "{"));
  assert.deepEqual([broken.status, await broken.text()], [500, "Internal Server Error"]);
});

test("request properties", async () => {
  const read = async (init, path = "/p?a=1&a=2") =>
    (await peer.fetch("rawHttpRequestPropertiesActor", "h", path, init)).json();
  const json = (body) => ({ method: "POST", body, headers: { "content-type": "application/json" } });
  const plain = await read();
  assert.deepEqual(
    [plain.pathname, plain.search, plain.searchParams, plain.hash, plain.method, plain.body, plain.bodyText],
    ["/p", "?a=1&a=2", { a: "2" }, "", "GET", null, null],
  );
  assert.deepEqual(
    [plain.cache, plain.credentials, plain.mode, plain.redirect, plain.referrer],
    ["default", "same-origin", "cors", "follow", "about:client"],
  );
  for (const [body, expected] of [['{"a":1}', [{ a: 1 }, null]], ["{", [null, ""]], ["null", [null, ""]], ['"s"', ["s", "s"]]]) {
    const answer = await read(json(body));
    assert.deepEqual([answer.body, answer.bodyText], expected);
  }
});

test("request access", async () => {
  const conn = await peer.connect("requestAccessActor", "q", { trackRequest: true }).ready();
  const info = await conn.call("getRequestInfo");
  for (const record of [info.onBeforeConnect, info.createConnState]) {
    assert.equal(record.requestMethod, "GET");
    assert.equal(new URL(record.requestUrl).pathname, "/connect");
  }
  await conn.close();
  const raw = await (await peer.fetch("requestAccessActor", "q", "/test-path?x=1")).json();
  assert.ok(raw.requestUrl.endsWith("/test-path?x=1"));
  const socket = peer.socket("requestAccessActor", "q", "/websocket/sub/path?q=1");
  assert.ok((await socket.receiveJson()).requestUrl.endsWith("/websocket/sub/path?q=1"));
  socket.send("echo");
  assert.equal(await socket.receive(), "echo");
  await socket.close();
});

test("raw WebSocket", async () => {
  const socket = peer.socket("rawWebSocketActor", "w", "/websocket/custom/path?token=abc");
  assert.deepEqual(await socket.receiveJson(), { type: "welcome", connectionCount: 1 });
  const ask = async (message) => {
    socket.send(message);
    return socket.receiveJson();
  };
  assert.equal((await ask({ type: "ping" })).type, "pong");
  assert.deepEqual(await ask({ type: "indexedEcho", payload: "p" }), { type: "indexedEcho", payload: "p", rivetMessageIndex: 2 });
  assert.deepEqual(await ask({ type: "indexedAckProbe", payload: "abc" }), { type: "indexedAckProbe", rivetMessageIndex: 3, payloadSize: 3 });
  assert.deepEqual((await ask({ type: "getIndexedMessageOrder" })).order, [2, 3]);
  const { pathname, search } = await ask({ type: "getRequestInfo" });
  assert.deepEqual([pathname, search], ["/websocket/custom/path", "?token=abc"]);
  assert.deepEqual(await ask({ type: "getStats" }), { type: "stats", connectionCount: 1, messageCount: 6 });
  socket.send(new Uint8Array([1, 2]));
  assert.deepEqual([...new Uint8Array(await socket.receive())], [1, 2]);
  assert.deepEqual(await ask({ type: "scheduleSleep" }), { type: "sleepScheduled" });
  await peer.stopped("rawWebSocketActor", "w");
  socket.send("after sleep");
  assert.deepEqual(await socket.receiveJson(), { type: "welcome", connectionCount: 2 });
  assert.equal(await socket.receive(), "after sleep");
  await socket.close();
});

test("other raw WebSockets", async () => {
  const binary = peer.socket("rawWebSocketBinaryActor", "b");
  await new Promise((resolve) => binary.inner.addEventListener("open", resolve));
  binary.send(new Uint8Array([1, 2, 3]));
  assert.deepEqual([...new Uint8Array(await binary.receive())], [3, 2, 1]);
  await binary.close();
  const opened = peer.socket("rawWebSocketAsyncOpenActor", "b");
  assert.deepEqual(await opened.receiveJson(), { type: "async-open", openCount: 1 });
  await opened.close();
  const context = peer.socket("rawWebSocketConnContextActor", "b");
  const { connId, state } = await context.receiveJson();
  assert.match(connId, /^[0-9a-f-]{36}$/);
  assert.deepEqual(state, { opened: true, connId });
  await context.close();
});

test("raw WebSockets and sleep", async () => {
  const farewell = peer.socket("sleepRawWsSendOnSleep", "s");
  assert.deepEqual(await farewell.receiveJson(), { type: "connected" });
  await on("sleepRawWsSendOnSleep", "s")("triggerSleep");
  assert.deepEqual(await farewell.receiveJson(), { type: "sleeping", sleepCount: 1 });
  assert.deepEqual(await farewell.closed, { code: 1000, reason: "actor.stopped" });
  const counted = peer.socket("sleepWithRawWebSocket", "s");
  assert.deepEqual(await counted.receiveJson(), { type: "connected", connectionCount: 1 });
  counted.send("null");
  assert.equal(await counted.receive(), "null");
  counted.send({ type: "keepAlive" });
  assert.deepEqual(await counted.receiveJson(), { type: "ack" });
  counted.send({ type: "getCounts" });
  assert.deepEqual(await counted.receiveJson(), { type: "counts", startCount: 1, sleepCount: 0, connectionCount: 1 });
  await counted.close();
});

for (const name of ["sleepRawWsAddEventListenerMessage", "sleepRawWsOnMessage"]) {
  test(`${name} keeps the actor awake`, async () => {
    const socket = peer.socket(name, "m");
    assert.deepEqual(await socket.receiveJson(), { type: "connected" });
    socket.send("track-message");
    assert.deepEqual(await socket.receiveJson(), { type: "message-started" });
    const status = await eventually(() => on(name, "m")("getStatus"), ({ messageFinished }) => messageFinished === 1, "handler");
    assert.equal(status.messageStarted, 1);
    await socket.close();
  });
}

for (const name of ["sleepRawWsAddEventListenerClose", "sleepRawWsOnClose", "sleepWithRawWsCloseDb", "sleepWithRawWsCloseDbListener"]) {
  test(`${name} runs the close handler to its end`, async () => {
    const socket = peer.socket(name, "c");
    assert.deepEqual(await socket.receiveJson(), { type: "connected" });
    await socket.close();
    await eventually(() => on(name, "c")("getStatus"), ({ closeFinished }) => closeFinished === 1, "close handler");
  });
}

/** Rows of actor, message, count of started and finished handlers in the status. */
const EXCEEDING = [
  ["sleepRawWsVarsExceedsGrace", "slow-vars-work", "handler"],
  ["sleepWsMessageExceedsGrace", "slow-db-work", "message"],
  ["sleepWsConcurrentDbExceedsGrace", { type: "slow-db-work", index: 1 }, "handler"],
];

for (const [name, message, prefix] of EXCEEDING) {
  test(`${name} stops at the end of the grace period`, async () => {
    const socket = peer.socket(name, "x");
    assert.deepEqual(await socket.receiveJson(), { type: "connected" });
    socket.send(message);
    assert.equal((await socket.receiveJson()).type, "started");
    await on(name, "x")("triggerSleep");
    await peer.asleep(name, "x");
    const status = await on(name, "x")("getStatus");
    assert.deepEqual([status[`${prefix}Started`], status[`${prefix}Finished`], status.startCount], [1, 0, 2]);
  });
}

test("active database writes across a short grace period", async () => {
  const socket = peer.socket("sleepWsActiveDbExceedsGrace", "x");
  assert.deepEqual(await socket.receiveJson(), { type: "connected" });
  socket.send({ type: "start-writes" });
  assert.deepEqual(await socket.receiveJson(), { type: "started" });
  for (let index = 0; index < 3; index++) {
    socket.send({ type: "continue-write" });
    assert.deepEqual(await socket.receiveJson(), { type: "write", index, writesCompleted: index + 1 });
  }
  await on("sleepWsActiveDbExceedsGrace", "x")("triggerSleep");
  await peer.asleep("sleepWsActiveDbExceedsGrace", "x");
  assert.equal((await on("sleepWsActiveDbExceedsGrace", "x")("getLogEntries")).length, 3);
});

test("hibernation", async () => {
  const conn = await peer.connect("hibernationActor", "h").ready();
  assert.equal(await conn.call("connIncrement"), 1);
  await conn.call("triggerSleep");
  await peer.stopped("hibernationActor", "h");
  assert.equal(await conn.call("connIncrement"), 2);
  assert.deepEqual(await conn.call("getConnLifecycleCounts"), { connectCount: 1, disconnectCount: 0 });
  assert.deepEqual(await conn.call("getActorCounts"), { sleepCount: 1, wakeCount: 2 });
  await conn.close();
});

test("an action sent while going to sleep is answered after the wake", async () => {
  const conn = await peer.connect("hibernationSleepWindowActor", "h").ready();
  conn.subscribe("sleeping");
  await conn.call("triggerSleep");
  assert.deepEqual((await conn.event("sleeping")).args, [["$Undefined", 0]]);
  assert.deepEqual(await conn.call("getActorCounts"), { sleepCount: 1, wakeCount: 2 });
  await conn.close();
});

test("a hibernating connection closed by its client is cleaned up in the next generation", async () => {
  const conn = await peer.connect("fileSystemHibernationCleanupActor", "h").ready();
  await conn.call("triggerSleep");
  await peer.stopped("fileSystemHibernationCleanupActor", "h");
  await conn.close();
  const list = () => on("fileSystemHibernationCleanupActor", "h")("getDisconnectWakeCounts");
  assert.deepEqual(await eventually(list, (counts) => counts.length > 0, "disconnect"), [2]);
});
