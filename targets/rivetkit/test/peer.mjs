// A running peer and the few ways in that the tests need: JSON over HTTP, the connection protocol, raw sockets.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const START = fileURLToPath(new URL("../start.mjs", import.meta.url));
const RECEIVE_DEADLINE_MS = 10_000;

export class CallError extends Error {
  constructor(status, { group, code, message, metadata }) {
    super(message);
    Object.assign(this, { status, group, code, metadata });
  }
}

/** Restores the two wire tags these tests meet. */
const decode = (text) =>
  JSON.parse(text, (_key, value) => {
    if (!Array.isArray(value) || value.length !== 2) return value;
    if (value[0] === "$BigInt") return Number(value[1]);
    return value;
  });
const isUndefined = (value) => Array.isArray(value) && value[0] === "$Undefined";
const plain = (value) => (isUndefined(value) ? undefined : value);

/** Polls until the predicate holds and returns the value. */
export async function eventually(read, predicate, what, deadlineMs = 10_000) {
  const deadline = Date.now() + deadlineMs;
  for (;;) {
    const value = await read();
    if (predicate(value)) return value;
    if (Date.now() > deadline) throw new Error(`${what}: still ${JSON.stringify(value)} after ${deadlineMs} ms`);
    await delay(25);
  }
}

/** A WebSocket with its frames in a list. */
class Socket {
  #frames = [];
  #waiting = [];

  constructor(url, protocols) {
    this.inner = new WebSocket(url, protocols);
    this.inner.binaryType = "arraybuffer";
    this.inner.addEventListener("message", ({ data }) => {
      const waiter = this.#waiting.shift();
      if (waiter) waiter.resolve(data);
      else this.#frames.push(data);
    });
    this.closed = new Promise((resolve) => {
      this.inner.addEventListener("close", ({ code, reason }) => {
        resolve({ code, reason });
        for (const waiter of this.#waiting) waiter.reject(new Error(`closed with ${code} ${reason}`));
      });
    });
  }

  send(data) {
    this.inner.send(typeof data === "string" || data instanceof Uint8Array ? data : JSON.stringify(data));
  }

  async receive() {
    if (this.#frames.length > 0) return this.#frames.shift();
    const timer = AbortSignal.timeout(RECEIVE_DEADLINE_MS);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      timer.addEventListener("abort", () => reject(new Error("nothing received in time")));
    });
  }

  async receiveJson() {
    return decode(await this.receive());
  }

  close() {
    this.inner.close();
    return this.closed;
  }
}

/** A connection in the JSON encoding. */
class Connection extends Socket {
  #nextId = 1;
  #responses = new Map();
  events = [];
  error = undefined;

  async ready() {
    for (;;) if ((await this.pump()) === "Init") return this;
  }

  /** Reads one frame and files it. */
  async pump() {
    const { tag, val } = (await this.receiveJson()).body;
    if (tag === "Event") this.events.push({ name: val.name, args: val.args });
    else if (tag === "ActionResponse") this.#responses.set(Number(val.id), { output: plain(val.output) });
    else if (tag === "Error" && val.actionId !== null) this.#responses.set(Number(val.actionId), { error: val });
    else if (tag === "Error") this.error = val;
    return tag;
  }

  async call(name, ...args) {
    const id = this.#nextId++;
    this.send({ body: { tag: "ActionRequest", val: { id, name, args } } });
    while (!this.#responses.has(id)) await this.pump();
    const { output, error } = this.#responses.get(id);
    if (error) throw new CallError(0, error);
    return output;
  }

  subscribe(eventName) {
    this.send({ body: { tag: "SubscriptionRequest", val: { eventName, subscribe: true } } });
  }

  async event(name) {
    for (;;) {
      const index = this.events.findIndex((event) => event.name === name);
      if (index >= 0) return this.events.splice(index, 1)[0];
      await this.pump();
    }
  }
}

export class Peer {
  static async start() {
    const child = spawn(process.execPath, [START], { stdio: ["ignore", "pipe", "pipe"] });
    const log = [];
    child.stderr.on("data", (chunk) => log.push(chunk));
    // For looking at a failure: both logs, of every peer the tests started.
    if (process.env.CONFORM_PEER_LOG) child.stderr.pipe(createWriteStream(process.env.CONFORM_PEER_LOG, { flags: "a" }));
    const lines = createInterface({ input: child.stdout });
    const line = await Promise.race([once(lines, "line"), once(child, "exit")]);
    if (typeof line[0] !== "string") throw new Error(`the peer did not start: ${Buffer.concat(log)}`);
    return new Peer(child, JSON.parse(line[0]), log);
  }

  #child;
  #log;

  constructor(child, handshake, log) {
    this.#child = child;
    this.#log = log;
    this.handshake = handshake;
  }

  get log() {
    return Buffer.concat(this.#log).toString();
  }

  get pid() {
    return this.#child.pid;
  }

  async stop() {
    this.#child.kill("SIGTERM");
    const [code] = this.#child.exitCode === null ? await once(this.#child, "exit") : [this.#child.exitCode];
    return code;
  }

  url(actor, key, path, method = "getOrCreate") {
    const { endpoint, namespace, pool } = this.handshake;
    const query = new URLSearchParams({ "rvt-namespace": namespace, "rvt-method": method, "rvt-key": key });
    if (method === "getOrCreate") query.set("rvt-pool", pool);
    const [pathname, ownQuery] = path.split("?");
    return `${endpoint}/gateway/${actor}${pathname}?${ownQuery ? `${ownQuery}&` : ""}${query}`;
  }

  async #post(url, body, params) {
    const headers = { "content-type": "application/json", "x-rivet-encoding": "json" };
    if (params !== undefined) headers["x-rivet-conn-params"] = JSON.stringify(params);
    const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
    const answer = decode(await response.text());
    if (!response.ok) throw new CallError(response.status, answer);
    return answer;
  }

  /** A stateless action call. */
  async call(actor, key, action, args = [], params = undefined) {
    return plain((await this.#post(this.url(actor, key, `/action/${action}`), { args }, params)).output);
  }

  send(actor, key, queue, body, options = {}) {
    return this.#post(this.url(actor, key, `/queue/${queue}`), { name: queue, body, ...options });
  }

  fetch(actor, key, path, init = {}) {
    return fetch(this.url(actor, key, `/request${path}`), init);
  }

  /** A connection-protocol socket; call `ready()` on it. */
  connect(actor, key, params = undefined) {
    const protocols = ["rivet", "rivet_encoding.json"];
    if (params !== undefined) protocols.push(`rivet_conn_params.${encodeURIComponent(JSON.stringify(params))}`);
    return new Connection(this.url(actor, key, "/connect").replace("http:", "ws:"), protocols);
  }

  socket(actor, key, path = "/websocket/", params = undefined) {
    const protocols = ["rivet"];
    if (params !== undefined) protocols.push(`rivet_conn_params.${encodeURIComponent(JSON.stringify(params))}`);
    return new Socket(this.url(actor, key, path).replace("http:", "ws:"), protocols);
  }

  async rest(method, path, body) {
    const { endpoint, namespace } = this.handshake;
    const separator = path.includes("?") ? "&" : "?";
    const response = await fetch(`${endpoint}${path}${separator}namespace=${namespace}`, {
      method,
      headers: { "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    return { status: response.status, body: await response.json() };
  }

  /** The one actor of that name and key, with null fields when it was never created. */
  async actor(name, key) {
    const { body } = await this.rest("GET", `/actors?name=${name}&key=${encodeURIComponent(key)}`);
    return body.actors[0];
  }

  /** Waits until the engine lists the actor as sleeping, which it does as soon as the sleep is requested. */
  async asleep(name, key, deadlineMs = 10_000) {
    await eventually(() => this.actor(name, key), (actor) => actor?.sleep_ts != null, `${name} asleep`, deadlineMs);
  }

  /** Waits until the generation is gone: the sleep time is written again then, and no more after that. */
  async stopped(name, key, settleMs = 400) {
    await this.asleep(name, key);
    let last;
    let since = Date.now();
    const settled = ({ sleep_ts: now }) => {
      if (now !== last) {
        last = now;
        since = Date.now();
      }
      return Date.now() - since >= settleMs;
    };
    await eventually(() => this.actor(name, key), settled, `${name} stopped`);
  }
}
