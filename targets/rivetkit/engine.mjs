// A throw-away Rivet Engine: one process on loopback with free ports and a fresh data directory.
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import engineCli from "@rivetkit/engine-cli";

const HEALTH_DEADLINE_MS = 90_000;
const SETUP_DEADLINE_MS = 30_000;
const REQUEST_DEADLINE_MS = 10_000;
const STOP_GRACE_MS = 3_000;
const POLL_MS = 50;

/** Asks the system for free loopback ports; all are held open until the last is known, so they are distinct. */
async function freePorts(count) {
  const servers = await Promise.all(
    Array.from({ length: count }, () => new Promise((resolve, reject) => {
      const server = createServer();
      server.once("error", reject);
      server.listen(0, "127.0.0.1", () => resolve(server));
    })),
  );
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

export class Engine {
  /** Starts an engine and resolves once it reports healthy. Throws when it exits first or stays unhealthy. */
  static async start({ port = 0, logStream = process.stderr } = {}) {
    const directory = await mkdtemp(join(tmpdir(), "conform-engine-"));
    const [free, peer, metrics] = await freePorts(3);
    const gateway = port || free;
    const config = join(directory, "engine.json");
    const endpoint = `http://127.0.0.1:${gateway}`;
    await writeFile(config, JSON.stringify({
      topology: {
        datacenter_label: 1,
        datacenters: {
          default: { datacenter_label: 1, is_leader: true, public_url: endpoint, peer_url: `http://127.0.0.1:${peer}` },
        },
      },
      // A corpus creates actors faster and floods single sockets harder than the engine's defaults allow.
      pegboard: { actor_create_rate_limit_requests: 100_000, gateway_websocket_rate_limit_requests: 100_000 },
      // By default the engine takes on less work the busier the whole machine is; on a CI machine a creation then
      // waits 15 s and fails. The pairs are CPU use and share of the work taken, both per mille, the second falling:
      // all of it, up to a use that no machine reaches.
      runtime: { worker_load_shedding_curve: [[1_000_000, 1000], [2_000_000, 0]] },
    }));
    const child = spawn(engineCli.getEnginePath(), ["start", "--config", config], {
      env: {
        RUST_LOG: "warn",
        ...process.env,
        RIVET__TELEMETRY__ENABLED: "false",
        RIVET__GUARD__HOST: "127.0.0.1",
        RIVET__GUARD__PORT: String(gateway),
        RIVET__API_PEER__HOST: "127.0.0.1",
        RIVET__API_PEER__PORT: String(peer),
        RIVET__METRICS__HOST: "127.0.0.1",
        RIVET__METRICS__PORT: String(metrics),
        RIVET__FILE_SYSTEM__PATH: join(directory, "db"),
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    child.stdout.pipe(logStream, { end: false });
    child.stderr.pipe(logStream, { end: false });
    const engine = new Engine(child, endpoint, directory);
    try {
      await engine.#healthy();
    } catch (error) {
      await engine.stop();
      throw error;
    }
    return engine;
  }

  #child;

  constructor(child, endpoint, directory) {
    this.#child = child;
    this.directory = directory;
    this.endpoint = endpoint;
    this.pid = child.pid;
    this.exited = new Promise((resolve) => {
      child.once("exit", (code, signal) => resolve({ code, signal }));
      child.once("error", (error) => resolve({ code: null, signal: null, error }));
    });
  }

  async #healthy() {
    let gone;
    this.exited.then((outcome) => {
      gone = outcome;
    });
    const deadline = Date.now() + HEALTH_DEADLINE_MS;
    while (Date.now() < deadline) {
      if (gone) throw new Error(`the engine ended before it was healthy: ${gone.error ?? gone.signal ?? gone.code}`);
      const response = await fetch(`${this.endpoint}/health`).catch(() => undefined);
      if (response?.ok) return;
      await delay(POLL_MS);
    }
    throw new Error(`the engine was not healthy within ${HEALTH_DEADLINE_MS} ms`);
  }

  /**
   * One REST call. A just-started engine may not know its own default namespace or datacenter yet, so these
   * answers are retried (ENGINE-004).
   */
  async api(method, path, body) {
    const deadline = Date.now() + SETUP_DEADLINE_MS;
    for (;;) {
      const { ok, answer } = await this.#request(method, path, body);
      if (ok) return JSON.parse(answer);
      const transient = /"namespace"[^]*"not_found"|"core"[^]*"internal_error"|^no answer/.test(answer);
      if (!transient || Date.now() > deadline) throw new Error(`${method} ${path}: ${answer}`);
      await delay(POLL_MS);
    }
  }

  async #request(method, path, body) {
    try {
      const response = await fetch(this.endpoint + path, {
        method,
        headers: { "content-type": "application/json", authorization: "Bearer dev" },
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: AbortSignal.timeout(REQUEST_DEADLINE_MS),
      });
      return { ok: response.ok, answer: await response.text() };
    } catch (error) {
      return { ok: false, answer: `no answer: ${error.message}` };
    }
  }

  /** Creates the namespace and gives the pool a runner configuration in the first datacenter (WIRE-126). */
  async createNamespace(namespace, pool) {
    await this.api("POST", "/namespaces", { name: namespace, display_name: namespace });
    const { datacenters } = await this.api("GET", "/datacenters");
    const query = `?namespace=${encodeURIComponent(namespace)}`;
    await this.api("PUT", `/runner-configs/${encodeURIComponent(pool)}${query}`, {
      datacenters: { [datacenters[0].name]: { normal: {} } },
    });
  }

  /** Resolves once the engine lists at least one envoy of the pool. */
  async waitForEnvoy(namespace, pool, aborted = () => undefined) {
    const query = `?namespace=${encodeURIComponent(namespace)}&name=${encodeURIComponent(pool)}`;
    const deadline = Date.now() + SETUP_DEADLINE_MS;
    while (Date.now() < deadline) {
      const reason = aborted();
      if (reason) throw new Error(reason);
      const { envoys } = await this.api("GET", `/envoys${query}`);
      if (envoys.length > 0) return;
      await delay(POLL_MS);
    }
    throw new Error(`no envoy of pool ${pool} registered within ${SETUP_DEADLINE_MS} ms`);
  }

  /** Stops the engine and removes its data. With client sockets open it would drain for minutes, hence the kill. */
  async stop() {
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), STOP_GRACE_MS);
    await this.exited;
    clearTimeout(timer);
    await rm(this.directory, { recursive: true, force: true });
  }
}
