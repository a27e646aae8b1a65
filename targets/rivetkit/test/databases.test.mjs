// SQLite fixtures.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, Peer } from "./peer.mjs";

let peer;
before(async () => {
  peer = await Peer.start();
});
after(() => peer.stop());

const raw = (key) => (action, ...args) => peer.call("dbActorRaw", key, action, args);

test("db-stress", async () => {
  const call = (action, ...args) => peer.call("dbStressActor", "s", action, args);
  assert.equal(await call("upsertMetaRows", 64), 32);
  await call("reset");
  const { pageCount, ...counts } = await call("kitchenSinkSmoke", 12);
  assert.deepEqual(counts, { metaCount: 14, dataCount: 20, payloadCount: 11, integrity: "ok" });
  assert.ok(pageCount > 0);
  await call("reset");
  assert.deepEqual(await call("insertBatch", 10), { count: 10 });
  assert.equal(await call("getCount"), 10);
  assert.equal(await call("writeAndVerify", 5), 5);
  assert.equal((await call("measureEventLoopHealth", 3)).insertCount, 3);
  assert.equal(await call("integrityCheck"), "ok");
});

test("scheduled-db", async () => {
  await peer.call("scheduledDb", "s", "scheduleDbWrite", [20]);
  await eventually(() => peer.call("scheduledDb", "s", "getLogCount"), (count) => count === 1, "row");
  assert.equal(await peer.call("scheduledDb", "s", "getScheduledCount"), 1);
});

test("rows of the raw database", async () => {
  const call = raw("rows");
  assert.deepEqual(await call("insertValue", "a"), { id: 1 });
  assert.deepEqual(await call("insertValueAndReadBack", "a\0b"), { id: 2, value: "a\0b", hex_value: "610062", sqlite_length: 1 });
  assert.deepEqual(await call("updateValue", 1, "z"), { success: true });
  assert.equal(await call("getValue", 1), "z");
  assert.equal(await call("getValue", 99), null);
  assert.equal(await call("multiStatementInsert", "m"), "m-updated");
  assert.deepEqual(await call("insertMany", 3), { count: 3 });
  assert.deepEqual(await call("insertMany", 0), { count: 0 });
  assert.equal(await call("getCountWithSubmissionBarrier"), 6);
  assert.deepEqual(await call("insertPayloadOfSize", 5000), { id: 7, size: 5000 });
  assert.equal(await call("getPayloadSize", 7), 5000);
  assert.deepEqual(await call("insertPayloadRows", 2, 10), { count: 2 });
  assert.deepEqual(await call("repeatUpdate", 1, 5), { value: "Updated 4" });
  assert.deepEqual(await call("roundRobinUpdateValues", [2, 1, 2, -1], 3), [{ id: 1, value: "v-1" }, { id: 2, value: "v-2" }]);
  await call("deleteValue", 1);
  assert.equal(await call("rawSelectCount"), 8);
  await call("vacuum");
  assert.equal(await call("integrityCheck"), "ok");
  assert.ok((await call("getPageCount")) > 0);
  await call("reset");
  await call("runMixedWorkload", 4, 20);
  assert.ok((await call("getCount")) > 0);
  assert.match(await call("getActorRuntimeSocketPath"), /\.sock$/);
  await assert.rejects(call("insertValue", null), { group: "core", code: "internal_error" });
});

test("transactions of the raw database", async () => {
  const call = raw("tx");
  const expired = /expired after 50 ms.*safety backstop.*`timeout`.*nested transaction.*outer `db`/;
  await call("transactionCommit", "kept");
  await call("transactionRollback", "gone");
  assert.deepEqual((await call("getValues")).map(({ value }) => value), ["kept"]);
  await call("transactionWithTimeout", 100);
  await call("transactionWithTimeout");
  await assert.rejects(call("transactionWithTimeout", 0), { group: "rivetkit", code: "internal_error" });
  await call("reset");
  assert.deepEqual(await call("transactionExec"), ["exec-first", "exec-second"]);
  assert.deepEqual(await call("transactionAutomaticRollback"), [{ id: 2, value: "after" }]);
  await call("reset");
  const order = await call("concurrentTransactions");
  assert.deepEqual(order.slice(0, 2), ["first-start", "first-end"]);
  assert.deepEqual(order.slice(2).sort(), ["second", "third"]);
  await call("reset");
  assert.deepEqual(await call("transactionParksOrdinarySql"), ["tx-start", "tx-end", "ordinary"]);
  assert.match(await call("transactionDeadlockDiagnostic", true), expired);
  assert.match(await call("transactionDeadlockDiagnostic", false), expired);
  const { ownerMessage, parkedResult, leakedMessage, values } = await call("transactionExpiryDiagnostics");
  for (const message of [ownerMessage, parkedResult.message, leakedMessage]) assert.match(message, expired);
  assert.deepEqual(values, []);
  assert.match(await call("terminalTransactionDiagnostic"), /^SQLite transaction handle `[0-9a-f-]{36}` is already committed\.$/);
  assert.equal(await call("manualTransactionCompatibility"), 1);
});

test("holding a transaction open", async () => {
  const hold = async (call) => {
    await call("ping");
    const held = call("holdTransaction");
    held.catch(() => undefined);
    await eventually(() => call("isTransactionHolding"), (holding) => holding, "holding");
    await call("releaseHeldTransaction");
    return held;
  };
  // The peer now and then parks every call behind the held transaction until that expires; a fresh actor will do.
  const patience = (ms) => new Promise((resolve) => setTimeout(resolve, ms, "parked"));
  let outcome = "parked";
  for (let attempt = 0; attempt < 5 && outcome === "parked"; attempt++) {
    outcome = await Promise.race([hold(raw(`hold-${attempt}`)), patience(3000)]);
  }
  assert.equal(outcome, undefined);
});

test("holding the actor awake and observing its life", async () => {
  const call = raw("held");
  await call("configureLifecycleObserver", "held-observer");
  const held = call("holdActorAwake");
  await eventually(() => call("isActorAwakeHeld"), (value) => value, "held");
  await call("releaseActorAwake");
  await held;
  await peer.asleep("dbActorRaw", "held");
  const events = () => peer.call("lifecycleObserver", "held-observer", "getEvents");
  await eventually(events, (list) => list.some(({ event, actorKey }) => event === "sleep" && actorKey === "held"), "sleep event");
});

test("inserts on disconnect", async () => {
  const call = raw("disconnect");
  await call("configureDisconnectInsert", true, 20);
  await eventually(() => call("getDisconnectInsertCount"), (count) => count >= 1, "disconnect row");
});

test("manual transaction warnings", async () => {
  assert.equal(await peer.call("dbActorManualWarningsDisabled", "w", "manualTransactionCompatibility", ["quiet-marker"]), true);
  await eventually(() => peer.log, (log) => log.includes("quiet-marker"), "marker");
});

test("drizzle", async () => {
  assert.equal(await peer.call("dbActorDrizzleMigration", "d", "migrationCommitted"), true);
  assert.deepEqual(await peer.call("dbActorDrizzleMigration", "d", "queryBuilderTransaction"), { inside: ["query-builder"], after: [] });
  assert.equal(await peer.call("dbActorDrizzleMigrationRollback", "d", "migrationRolledBack"), true);
});

test("db-lifecycle counts clients and migrations per generation", async () => {
  const id = await peer.call("dbLifecycle", "l", "getActorId");
  await peer.call("dbLifecycle", "l", "insertValue", ["v"]);
  const counts = () => peer.call("dbLifecycleObserver", "o", "getCounts", [id]);
  assert.deepEqual(await counts(), { create: 1, migrate: 1 });
  await peer.call("dbLifecycle", "l", "triggerSleep");
  await peer.asleep("dbLifecycle", "l");
  assert.equal(await peer.call("dbLifecycle", "l", "getCount"), 1);
  assert.deepEqual(await counts(), { create: 2, migrate: 2 });
  assert.deepEqual(await peer.call("dbLifecycleObserver", "o", "getCounts", ["unknown"]), { create: 0, migrate: 0 });
});

test("migration ladder", async () => {
  const call = (action, ...args) => peer.call("dbPragmaMigrationActor", "m", action, args);
  assert.deepEqual(await call("insertItem", "a"), { id: 1 });
  assert.deepEqual(await call("insertItemWithStatus", "b", "done"), { id: 2 });
  await call("triggerSleep");
  await peer.asleep("dbPragmaMigrationActor", "m");
  assert.deepEqual(await call("getItems"), [{ id: 1, name: "a", status: "active" }, { id: 2, name: "b", status: "done" }]);
  assert.equal(await call("getSchemaVersion"), 2);
  assert.deepEqual(await call("getColumns"), ["id", "name", "status"]);
});

test("db-init-order", async () => {
  const id = await peer.call("dbInitOrderOnSleepActor", "i", "getActorId");
  await peer.call("dbInitOrderOnSleepActor", "i", "insert", ["a"]);
  await peer.call("dbInitOrderOnSleepActor", "i", "triggerSleep");
  await peer.stopped("dbInitOrderOnSleepActor", "i");
  assert.equal(await peer.call("dbInitOrderObserver", "o", "getOnSleepCount", [id]), 1);
  assert.equal(await peer.call("dbInitOrderOnSleepActor", "i", "getSleepEventCount"), 1);
  const doomed = await peer.call("dbInitOrderOnDestroyActor", "i", "getActorId");
  await peer.call("dbInitOrderOnDestroyActor", "i", "insert", ["a"]);
  await peer.call("dbInitOrderOnDestroyActor", "i", "triggerDestroy");
  await eventually(() => peer.call("dbInitOrderObserver", "o", "getOnDestroyCount", [doomed]), (count) => count === 1, "destroy count");
  assert.equal(await peer.call("dbInitOrderObserver", "o", "getOnDestroyCount", ["unknown"]), -1);
  assert.equal(await peer.call("dbInitOrderOnWakeActor", "i", "getWakeCount"), 1);
});
