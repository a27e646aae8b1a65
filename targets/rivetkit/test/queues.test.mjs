// Queues and the queue-driven run handlers.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, Peer } from "./peer.mjs";

let peer;
before(async () => {
  peer = await Peer.start();
});
after(() => peer.stop());

const queued = (key) => ({
  call: (action, ...args) => peer.call("queueActor", key, action, args),
  send: (queue, body, options) => peer.send("queueActor", key, queue, body, options),
});

test("receiving one, many, by iterator and from itself", async () => {
  const { call, send } = queued("receive");
  assert.deepEqual(await send("greeting", "hi"), { status: "completed" });
  assert.deepEqual(await call("receiveOne", "greeting", { timeout: 1000 }), { name: "greeting", body: "hi" });
  assert.equal(await call("receiveOne", "greeting", { timeout: 10 }), null);
  await send("a", 1);
  await send("b", 2);
  assert.deepEqual(await call("receiveMany", ["a", "b"], { count: 2, timeout: 500 }), [{ name: "a", body: 1 }, { name: "b", body: 2 }]);
  assert.deepEqual(await call("tryReceiveMany", { names: ["a"], count: 3 }), []);
  await send("c", 3);
  assert.deepEqual(await call("receiveRequest", { names: ["c"], timeout: 500 }), [{ name: "c", body: 3 }]);
  await send("one", 4);
  assert.deepEqual(await call("receiveWithIterator", "one"), { name: "one", body: 4 });
  await send("two", 5);
  assert.deepEqual(await call("receiveWithAsyncIterator"), { name: "two", body: 5 });
  assert.equal(await call("sendToSelf", "self", 6), true);
  assert.deepEqual(await call("receiveOne", "self", { timeout: 1000 }), { name: "self", body: 6 });
  assert.deepEqual(await send("undeclared", 1), { status: "completed" });
});

test("completion", async () => {
  const { call, send } = queued("complete");
  // Created first: two concurrent calls that both create an actor may fail on the peer.
  assert.deepEqual(await call("tryReceiveMany", { names: ["tasks"] }), []);
  const sent = send("tasks", "job", { wait: true, timeout: 5000 });
  assert.deepEqual(await call("receiveAndComplete", "tasks"), { name: "tasks", body: "job" });
  assert.deepEqual(await sent, { status: "completed", response: { echo: "job" } });
  assert.deepEqual(await send("timeout", 1, { wait: true, timeout: 50 }), { status: "timedOut" });
  await send("twice", 1);
  assert.deepEqual(await call("receiveAndCompleteTwice", "twice"), { group: "queue", code: "already_completed" });
  await send("nowait", 1);
  assert.deepEqual(await call("receiveWithoutCompleteMethod", "nowait"), { hasComplete: true });
  await send("tasks", "again");
  assert.deepEqual(await call("receiveManualThenNextWithoutComplete", "tasks"), { group: "queue", code: "previous_message_not_completed" });
});

test("abort", async () => {
  assert.deepEqual(await queued("signal").call("waitForSignalAbort"), { group: "actor", code: "aborted" });
  assert.deepEqual(await queued("iter").call("iterWithSignalAbort"), { ok: true });
  assert.deepEqual(await queued("own").call("waitForActorAbortWithSignal"), { group: "actor", code: "aborted" });
  await assert.rejects(queued("destroyed").call("waitForAbort"), { group: "actor", code: "aborted", status: 500 });
});

test("limits", async () => {
  const send = (queue, body) => peer.send("queueLimitedActor", "l", queue, body);
  await send("message", 1);
  await assert.rejects(send("message", 2), { group: "queue", code: "full", metadata: { limit: 1 } });
  await assert.rejects(send("oversize", "x".repeat(200)), { group: "queue", code: "message_too_large", metadata: { size: 227, limit: 64 } });
  await assert.rejects(peer.call("queueLimitedActor", "l", "anything"), { group: "actor", code: "action_not_found" });
});

test("many queues", async () => {
  const child = (queue, index) => peer.send("manyQueueChildActor", "child", queue, { index }, { wait: true, timeout: 5000 });
  assert.deepEqual(await child("cmd.7", 7), { status: "completed", response: { ok: true, index: 7 } });
  assert.deepEqual((await peer.call("manyQueueChildActor", "child", "getSnapshot")).processed, ["cmd.7"]);
  assert.deepEqual(await peer.call("manyQueueActionParentActor", "p", "spawnChild", ["lazy"]), { key: "lazy" });
  assert.equal(await peer.actor("manyQueueChildActor", "lazy"), undefined);
  assert.deepEqual(await peer.call("manyQueueRunParentActor", "p", "queueSpawn", ["x"]), { queued: true });
  assert.deepEqual(await peer.call("manyQueueRunParentActor", "p", "getSpawned"), ["x"]);
});

test("run handlers", async () => {
  const state = (actor) => peer.call(actor, "r", "getState");
  await eventually(() => state("runWithTicks"), ({ tickCount, runStarted }) => runStarted && tickCount > 2, "ticks");
  assert.equal(await peer.call("runWithQueueConsumer", "r", "sendMessage", ["m"]), true);
  const consumed = ({ messagesReceived }) => messagesReceived.length === 1;
  const { messagesReceived } = await eventually(() => state("runWithQueueConsumer"), consumed, "consumed");
  assert.deepEqual(messagesReceived, [{ name: "messages", body: "m" }]);
  await eventually(() => state("runWithEarlyExit"), ({ runExited }) => runExited, "early exit");
  await eventually(() => state("runWithError"), ({ runStarted }) => runStarted, "error run");
  await eventually(() => state("runSelfInitiatedSleep"), ({ marker }) => marker === "slept", "self-initiated sleep");
  assert.deepEqual(await state("runSelfInitiatedSleep"), { runCount: 2, wakeCount: 2, sleepCount: 1, marker: "slept" });
  await peer.call("lifecycleObserver", "self-initiated-destroy", "clearEvents");
  await state("runSelfInitiatedDestroy").catch(() => undefined);
  const events = () => peer.call("lifecycleObserver", "self-initiated-destroy", "getEvents");
  await eventually(events, (list) => list.some(({ event }) => event === "destroy"), "destroy seen");
  assert.deepEqual(await state("runIgnoresAbortStopTimeout"), { wakeCount: 1, destroyCount: 0 });
  const started = Date.now();
  await peer.call("runIgnoresAbortStopTimeout", "r", "destroy");
  await eventually(() => peer.actor("runIgnoresAbortStopTimeout", "r"), (actor) => actor === undefined, "destroyed");
  assert.ok(Date.now() - started < 1500);
});
