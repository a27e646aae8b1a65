// Workflows.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, Peer } from "./peer.mjs";

let peer;
before(async () => {
  peer = await Peer.start();
});
after(() => peer.stop());

const on = (name, key = "w") => (action, ...args) => peer.call(name, key, action, args);
const send = (name, queue, body) => peer.send(name, "w", queue, body, { wait: true, timeout: 5000 });

/** Rows of actor, reading action, predicate over what it reads. */
const REACHED = [
  ["workflowCounterActor", "getState", ({ runCount, guardTriggered }) => runCount > 1 && guardTriggered],
  ["workflowSleepActor", "getState", ({ ticks }) => ticks > 2],
  ["workflowCompleteActor", "getState", ({ runCount }) => runCount === 1],
  ["workflowReplayActor", "getTimeline", (timeline) => timeline.join() === "one,two"],
  ["workflowStopTeardownActor", "getTimeline", ({ wakeAts, sleepAts }) => wakeAts.length === 1 && sleepAts.length === 0],
];

for (const [name, action, predicate] of REACHED) {
  test(name, () => eventually(() => on(name)(action), predicate, name));
}

test("errors of the guard", async () => {
  const filled = ({ outsideDbError }) => outsideDbError !== null;
  const state = await eventually(() => on("workflowAccessActor")("getState"), filled, "guard");
  assert.ok(state.insideDbCount >= 1 && state.insideClientAvailable);
  assert.equal(state.outsideDbError, "db is only available inside workflow steps");
  assert.equal(state.outsideClientError, "client is only available inside workflow steps");
});

test("a failing step runs four times at most", async () => {
  const state = await eventually(() => on("workflowFailedStepActor")("getState"), ({ runCount }) => runCount === 3, "attempts");
  assert.deepEqual(state.timeline, ["prepare", "fail", "fail", "fail"]);
});

test("a blocked step is released", async () => {
  await on("workflowRunningStepActor")("release");
  await eventually(() => on("workflowRunningStepActor")("getState"), ({ finishedAt }) => finishedAt !== null, "finish");
});

test("failures caught by the workflow", async () => {
  const forward = await eventually(() => on("workflowStepRollForwardActor")("getSnapshot"), ({ state }) => state.recoveryStateWrites === 1, "recovery");
  assert.deepEqual(forward.state, { failedStateWrites: 1, recoveryStateWrites: 1, failureCaught: true });
  const tried = await eventually(() => on("workflowTryActor")("getState"), ({ tryJoinFailure }) => tryJoinFailure !== null, "try");
  assert.equal(tried.tryJoinFailure, "join:parallel");
  assert.deepEqual(tried.tryStepFailure, { kind: "exhausted", message: "card declined", attempts: 1 });
  assert.equal(tried.innerWrites, 1);
});

test("queues", async () => {
  assert.deepEqual(await on("workflowQueueActor")("sendAndWait", { a: 1 }), { status: "completed", response: { echo: { a: 1 } } });
  assert.deepEqual(await on("workflowQueueActor")("getMessages"), [{ a: 1 }]);
  for (const name of ["workflowNestedLoopActor", "workflowNestedJoinActor"]) {
    assert.deepEqual(await send(name, "workflow-nested", { items: ["a", "b"] }), { status: "completed", response: { processed: 2 } });
    assert.deepEqual((await on(name)("getState")).processed.sort(), ["a", "b"]);
  }
  assert.deepEqual(await send("workflowNestedJoinActor", "workflow-nested", { items: [] }), { status: "completed", response: { processed: 0 } });
  assert.deepEqual(await send("workflowNestedRaceActor", "workflow-nested", { items: ["a", "b"] }), { status: "completed", response: { processed: 2 } });
  assert.deepEqual((await on("workflowNestedRaceActor")("getState")).processed, ["a"]);
});

test("a child workflow", async () => {
  assert.deepEqual(await on("workflowSpawnParentActor")("triggerSpawn", "kid"), { queued: true });
  const { results } = await eventually(() => on("workflowSpawnParentActor")("getState"), (state) => state.results.length === 1, "spawn");
  assert.deepEqual(results, [{ key: "kid", result: { status: "completed", response: { ok: true } }, error: null }]);
  const child = await on("workflowSpawnChildActor", "kid")("getState");
  assert.deepEqual(child, { label: "kid", started: true, processed: ["hello"] });
});

test("error hooks", async () => {
  const { events, attempts } = await eventually(() => on("workflowErrorHookActor")("getErrorState"), (state) => state.attempts === 2, "retry");
  assert.equal(attempts, 2);
  assert.equal(events.length, 1);
  const { step } = events[0];
  assert.deepEqual([step.stepName, step.attempt, step.maxRetries, step.remainingRetries, step.willRetry, step.retryDelay], ["flaky", 1, 2, 2, true, 1]);
  assert.deepEqual([step.error.name, step.error.message], ["Error", "workflow hook failed"]);
  await on("workflowErrorHookEffectsActor")("startWorkflow");
  const queued = await eventually(() => on("workflowErrorHookEffectsActor")("receiveQueuedError"), (value) => value !== null, "queued error");
  assert.equal(queued.step.stepName, "flaky");
  const sleeper = on("workflowErrorHookSleepActor");
  await eventually(() => sleeper("getErrorState"), (state) => state.attempts === 2, "retry");
  await sleeper("triggerSleep");
  await peer.asleep("workflowErrorHookSleepActor", "w");
  const after = await sleeper("getErrorState");
  assert.deepEqual([after.attempts, after.events.length, after.wakeCount, after.sleepCount], [2, 1, 2, 1]);
});

test("a workflow that destroys its actor", async () => {
  await peer.rest("PUT", "/actors", {
    name: "workflowDestroyActor", key: "w", runner_name_selector: peer.handshake.pool, crash_policy: "sleep",
  });
  await eventually(() => on("destroyObserver", "observer")("wasDestroyed", "w"), (seen) => seen, "destroyed");
});
