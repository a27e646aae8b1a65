// The start script itself.
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { eventually, Peer } from "./peer.mjs";

const children = async (pid) => (await readFile(`/proc/${pid}/task/${pid}/children`, "utf8")).trim().split(" ").filter(Boolean).map(Number);
const alive = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

test("it stops everything it started", { skip: process.platform !== "linux" }, async () => {
  const peer = await Peer.start();
  const started = await children(peer.pid);
  assert.equal(started.length, 2);
  const conn = await peer.connect("counter", "open").ready();
  assert.equal(await peer.stop(), 0);
  assert.deepEqual(started.filter(alive), []);
  await conn.closed;
});

test("a registry that dies is started again", { skip: process.platform !== "linux" }, async () => {
  const peer = await Peer.start();
  try {
    const [, registry] = await children(peer.pid);
    assert.equal(await peer.call("counter", "c", "increment", [2]), 2);
    process.kill(registry, "SIGKILL");
    await eventually(() => peer.log, (log) => log.includes("starting it again"), "restart");
    await eventually(() => peer.call("counter", "other", "increment", [1]).catch(() => undefined), (count) => count === 1, "hosting again", 30_000);
  } finally {
    await peer.stop();
  }
});

test("nothing outlives a starter that is killed", { skip: process.platform !== "linux" }, async () => {
  const peer = await Peer.start();
  const started = await children(peer.pid);
  const [directory] = (await readFile(`/proc/${started[0]}/cmdline`, "utf8")).match(/conform-engine-\w+/);
  process.kill(peer.pid, "SIGKILL");
  await eventually(() => started.filter(alive), (left) => left.length === 0, "children gone");
  await eventually(async () => readdir(tmpdir()), (names) => !names.includes(directory), "data removed");
});
