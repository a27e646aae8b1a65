// Stateless calls: every fixture group whose behaviour shows in plain action results.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, Peer } from "./peer.mjs";

let peer;
before(async () => {
  peer = await Peer.start();
});
after(() => peer.stop());

const fails = (group, code, status, message) => (error) => {
  assert.deepEqual({ group: error.group, code: error.code, status: error.status }, { group, code, status });
  if (message !== undefined) assert.equal(error.message, message);
  return true;
};
const near = (value, expected, tolerance = 2000) => assert.ok(Math.abs(value - expected) < tolerance, `${value}`);

/** Rows of actor, action, arguments, result; each actor is fresh. */
const TABLE = [
  ["counter", "increment", [3], 3],
  ["counter", "setCount", ["abc"], "abc"],
  ["counter", "getKey", [], ["k"]],
  ["counterConn", "setCount", [3], undefined],
  ["counterConn", "getConnectionCount", [], 1],
  ["counterWithLifecycle", "getEvents", [], ["onWake"]],
  ["saveStateObserver", "getPhase", ["x"], null],
  ["errorHandlingActor", "delayedAction", [5], "Completed after 5ms"],
  ["customTimeoutActor", "quickAction", [], "Quick action completed"],
  ["kvActor", "getText", ["absent"], null],
  ["kvActor", "roundtripArrayBuffer", ["a", [4, 8, 256, -1]], [4, 8, 0, 255]],
  ["kvActor", "roundtripArrayBuffer", ["a", []], []],
  ["shortTimeoutActor", "quickAction", [], "quick response"],
  ["longTimeoutActor", "delayedAction", [], "delayed response"],
  ["defaultTimeoutActor", "normalAction", [], "normal response"],
  ["syncTimeoutActor", "syncAction", [], "sync response"],
  ["syncActionActor", "increment", [], 1],
  ["syncActionActor", "reset", [], undefined],
  ["asyncActionActor", "delayedIncrement", [], 1],
  ["asyncActionActor", "asyncWithError", [false], "Success"],
  ["nestedActionActor", "calculator.read", [], 0],
  ["promiseActor", "resolvedPromise", [], "resolved value"],
  ["promiseActor", "delayedPromise", [], "delayed value"],
  ["metadataActor", "getActorName", [], "metadataActor"],
  ["metadataActor", "getStoredActorName", [], "metadataActor"],
  ["metadataActor", "getTag", ["x"], null],
  ["metadataActor", "getRegion", [], null],
  ["metadataActor", "getMetadata", [], { name: "metadataActor", tags: {}, region: null }],
  ["staticVarActor", "getVars", [], { counter: 42, name: "test-actor" }],
  ["staticVarActor", "getName", [], "test-actor"],
  ["driverCtxActor", "getVars", [], { hasDriverCtx: false }],
  ["largePayloadActor", "processLargeRequest", [{ items: ["a", "b"] }], { itemCount: 2, firstItem: "a", lastItem: "b" }],
  ["largePayloadActor", "echo", [], undefined],
  ["largePayloadActor", "echo", [null], null],
  ["largePayloadConnActor", "getLastRequestSize", [], 0],
  ["warmupActor", "ping", [], true],
  ["statelessActor", "ping", [], "pong"],
  ["accessControlActor", "allowedAction", ["x"], "allowed:x"],
  ["accessControlNoQueuesActor", "readAnyQueue", [], null],
  ["beforeConnectRejectActor", "ping", [], "pong"],
  ["beforeConnectGenericErrorActor", "ping", [], "pong"],
  ["rejectConnectionActor", "ping", [], "pong"],
  ["destroyActor", "getEphemeral", [], "fresh"],
  ["destroyActor", "receiveValue", [], null],
  ["onStateChangeActor", "stateIdentityStable", [], true],
  ["manyQueueChildActor", "ping", [], { label: ["$Undefined", 0], pong: true }],
  ["dbInitOrderCreateStateActor", "getInitialCount", [], 0],
  ["dbInitOrderOnCreateActor", "getInitialCount", [], 0],
  ["dbInitOrderCreateVarsActor", "getInitialCount", [], 0],
  ["runWithoutHandler", "getState", [], { wakeCount: 1 }],
];

for (const [index, [actor, action, args, expected]] of TABLE.entries()) {
  test(`${actor}.${action}(${JSON.stringify(args).slice(1, -1)})`, async () => {
    const key = action === "getKey" ? "k" : `table-${index}`;
    assert.deepEqual(await peer.call(actor, key, action, args), expected);
  });
}

/** Rows of actor, action, arguments, group, code, status, message, connection parameters. */
const ERRORS = [
  ["errorHandlingActor", "throwSimpleError", [], "user", "user_error", 500, "Simple error message"],
  ["errorHandlingActor", "throwDetailedError", [], "user", "detailed_error", 500, "Detailed error message"],
  ["errorHandlingActor", "throwInternalError", [], "rivetkit", "internal_error", 500, "An internal error occurred"],
  ["errorHandlingActor", "timeoutAction", [], "actor", "action_timed_out", 408, "Action timed out"],
  ["errorHandlingActor", "nope", [], "actor", "action_not_found", 404, "Action `nope` was not found."],
  ["customTimeoutActor", "slowAction", [], "actor", "action_timed_out", 408],
  ["shortTimeoutActor", "slowAction", [], "actor", "action_timed_out", 408],
  ["nestedActionActor", "calculator.add", ["x"], "actor", "validation_error", 500, "An internal error occurred"],
  ["nestedActionActor", "calculator.add", [], "actor", "validation_error", 500],
  ["nestedActionActor", "calculator.add", [1, 2], "actor", "validation_error", 500],
  ["nestedActionActor", "calculator", [], "actor", "action_not_found", 404],
  ["promiseActor", "rejectedPromise", [], "user", "user_error", 500, "promised rejection"],
  ["asyncActionActor", "asyncWithError", [true], "user", "user_error", 500, "Intentional error"],
  ["counterWithParams", "increment", [1], "rivetkit", "internal_error", 500],
  ["rejectConnectionActor", "ping", [], "user", "rejected", 500, "Rejected connection", { reject: true }],
  ["accessControlActor", "allowedAction", [1], "auth", "forbidden", 403, "Forbidden", { allowRequest: false }],
  ["connErrorSerializationActor", "getValue", [], "connection", "custom_error", 500, "An internal error occurred", { shouldThrow: true }],
  ["connErrorSerializationActor", "getValue", [], "rivetkit", "internal_error", 500],
  ["beforeConnectTimeoutActor", "ping", [], "actor", "callback_timed_out", 500, "An internal error occurred"],
  ["beforeConnectRejectActor", "ping", [], "user", "connection_rejected", 500, "Connection rejected by policy", { shouldReject: true }],
  ["beforeConnectGenericErrorActor", "ping", [], "rivetkit", "internal_error", 500, undefined, { shouldFail: true }],
  ["connPreflightVisibilityActor", "snapshot", [], "rivetkit", "internal_error", 500, undefined, { rejectBefore: true }],
  ["dbStressActor", "insertBatch", [0], "core", "internal_error", 500],
  ["dbActorRuntimeSocketDisabled", "getActorRuntimeSocketPath", [], "actor_runtime_socket", "not_enabled", 500],
  ["dbLifecycleFailing", "ping", [], "guard", "actor_wake_retries_exceeded", 400],
];

for (const [index, [actor, action, args, group, code, status, message, params]] of ERRORS.entries()) {
  test(`${actor}.${action}(${JSON.stringify(args).slice(1, -1)}) fails with ${group}.${code}`, async () => {
    await assert.rejects(peer.call(actor, `error-${index}`, action, args, params), fails(group, code, status, message));
  });
}

test("error metadata reaches the caller", async () => {
  await assert.rejects(peer.call("errorHandlingActor", "meta", "throwDetailedError"), ({ metadata }) => {
    assert.equal(metadata.reason, "test");
    near(metadata.timestamp, Date.now());
    return true;
  });
});

test("a tracked stateless call leaves its lifecycle strings", async () => {
  await peer.call("counterWithLifecycle", "tracked", "increment", [1], { trackLifecycle: true });
  const events = await peer.call("counterWithLifecycle", "tracked", "getEvents");
  assert.deepEqual(events, ["onWake", "onBeforeConnect", "onConnect", "onDisconnect"]);
});

test("concurrent actions interleave", async () => {
  // Created first: two concurrent calls that both create an actor may fail on the peer.
  await peer.call("concurrentActionActor", "c", "getEvents");
  const slow = peer.call("concurrentActionActor", "c", "runWithDelay", ["slow", 400]);
  await eventually(() => peer.call("concurrentActionActor", "c", "getEvents"), (events) => events.length === 1, "slow started");
  await peer.call("concurrentActionActor", "c", "runWithDelay", ["fast", 0]);
  assert.equal(await slow, "slow");
  assert.deepEqual(await peer.call("concurrentActionActor", "c", "getEvents"), ["start:slow", "start:fast", "finish:fast", "finish:slow"]);
});

test("metadata is stored", async () => {
  const call = (...args) => peer.call("metadataActor", "m", ...args);
  await call("setupTestTags", [{ a: "1" }]);
  await call("setupTestRegion", ["eu"]);
  const expected = { name: "metadataActor", tags: { a: "1" }, region: "eu" };
  assert.deepEqual(await call("getMetadata"), expected);
  assert.deepEqual(await call("getLastMetadata"), expected);
  assert.equal(await call("getTag", ["a"]), "1");
});

test("vars are copied per actor", async () => {
  const modified = { counter: 42, nested: { value: "modified", array: [1, 2, 3, 4], obj: { key: "new-value" } } };
  assert.deepEqual(await peer.call("nestedVarActor", "a", "modifyNested"), modified);
  assert.deepEqual((await peer.call("nestedVarActor", "b", "getVars")).nested.array, [1, 2, 3]);
  const { random, computed } = await peer.call("dynamicVarActor", "a", "getVars");
  assert.ok(random >= 0 && random < 1 && /^Actor-\d{1,3}$/.test(computed));
  assert.ok(Number.isInteger((await peer.call("uniqueVarActor", "a", "getVars")).id));
});

test("schedules fire, a timestamp from a JSON client included", async () => {
  const call = (...args) => peer.call("scheduled", "s", ...args);
  near(await call("scheduleTaskAfter", [50]), Date.now());
  const at = Date.now() + 60;
  assert.equal(await call("scheduleTaskAt", [at]), at);
  near((await call("scheduleTaskAfterWithId", ["id-1", 20])).scheduledFor, Date.now());
  near(await call("scheduleTask", [30]), Date.now());
  await eventually(() => call("getScheduledCount"), (count) => count === 4, "four runs");
  assert.deepEqual(await call("getTaskHistory"), ["id-1"]);
  near(await call("getLastRun"), Date.now());
  assert.equal(await call("clearHistory"), true);
  assert.equal(await call("getScheduledCount"), 0);
});

test("save-state reports its phase and then blocks", async () => {
  const abort = new AbortController();
  const url = peer.url("saveStateActor", "blocked", "/action/saveImmediateAndBlock");
  const init = { method: "POST", headers: { "x-rivet-encoding": "json" }, body: '{"args":[7]}', signal: abort.signal };
  const blocked = fetch(url, init).catch(() => undefined);
  await eventually(() => peer.call("saveStateObserver", "observer", "getPhase", ["blocked"]), (phase) => phase === "immediate", "phase");
  assert.equal(await peer.call("saveStateActor", "blocked", "getValue"), 7);
  abort.abort();
  await blocked;
});

test("key-value ranges", async () => {
  const call = (...args) => peer.call("kvActor", "ranges", ...args);
  for (const key of ["a", "b", "c"]) assert.equal(await call("putText", [key, `v${key}`]), true);
  const row = (key) => ({ key, value: `v${key}` });
  assert.deepEqual(await call("listText", [""]), [row("a"), row("b"), row("c")]);
  assert.deepEqual(await call("listTextRange", ["a", "c"]), [row("a"), row("b")]);
  assert.deepEqual(await call("listTextRange", ["a", "d", { reverse: true, limit: 2 }]), [row("c"), row("b")]);
  assert.deepEqual(await call("listTextRange", ["z", "a"]), []);
  assert.equal(await call("deleteTextRange", ["a", "c"]), true);
  assert.deepEqual(await call("listText", [""]), [row("c")]);
});

test("state change hook", async () => {
  const call = (...args) => peer.call("onStateChangeActor", "o", ...args);
  assert.equal(await call("incrementMultiple", [100]), 100);
  assert.equal(await call("getChangeCount"), 1);
  await call("setValue", [10]);
  await call("setValue", [10]);
  assert.equal(await call("getChangeCount"), 2);
  assert.equal(await call("getDoubled"), 20);
  assert.equal(await call("seedLarge", [20_000]), 20_000);
  assert.ok((await call("churn", [200])) < 250);
});

test("state change hook, vars and re-entrancy", async () => {
  await peer.call("stateChangeRecursionActor", "r", "setValue", [4]);
  await peer.call("stateChangeRecursionActor", "r", "setValue", [4]);
  assert.deepEqual(await peer.call("stateChangeRecursionActor", "r", "getAll"), { value: 4, derivedValue: 8, callCount: 1 });
  await peer.call("stateChangeReentrantMutationActor", "r", "setValue", [5]);
  assert.deepEqual(await peer.call("stateChangeReentrantMutationActor", "r", "getResult"), {
    value: 5, derivedValue: 0, callCount: 1, errorGroup: "actor", errorCode: "state_mutation_reentrant",
  });
});

test("preflight visibility of a stateless call", async () => {
  const snapshot = await peer.call("connPreflightVisibilityActor", "p", "snapshot");
  assert.deepEqual(snapshot, {
    beforeStarted: 1,
    createStarted: 1,
    beforeVisibleLabels: [[]],
    createVisibleLabels: [[]],
    connectSnapshots: [{ label: "anonymous", ownVisible: true, visibleLabels: ["anonymous"] }],
    disconnectSnapshots: [],
    visibleLabels: ["anonymous"],
  });
});

test("connection parameters name the caller", async () => {
  await peer.call("counterWithParams", "n", "increment", [1], { name: "ann" });
  assert.deepEqual(await peer.call("counterWithParams", "n", "getInitializers", [], {}), ["ann", "anonymous"]);
});

test("stateless actor has no state", async () => {
  assert.deepEqual(await peer.call("statelessActor", "s", "tryGetState"), {
    success: false,
    error: "State not enabled. Must implement `createState` or `state` to use state. (https://www.rivet.dev/docs/actors/state/#initializing-state)",
  });
});

test("creation input reaches state and onCreate", async () => {
  const { namespace, pool } = peer.handshake;
  // {"a": 1} in CBOR
  const input = Buffer.from([0xa1, 0x61, 0x61, 0x01]).toString("base64url");
  const query = new URLSearchParams({ "rvt-namespace": namespace, "rvt-method": "getOrCreate", "rvt-pool": pool, "rvt-key": "in", "rvt-input": input });
  const response = await fetch(`${peer.handshake.endpoint}/gateway/inputActor/action/getInputs?${query}`, {
    method: "POST", headers: { "x-rivet-encoding": "json" }, body: '{"args":[]}',
  });
  assert.deepEqual((await response.json()).output, { initialInput: { a: 1 }, onCreateInput: { a: 1 } });
});
