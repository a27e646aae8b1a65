// What the scripts of this directory share: the npm package, the server under test, deadlines, and one JSON line per check.
//
//   node <area>.mjs '{"modules": <directory with node_modules>, "endpoint": <url>, "encoding": "json" | "cbor" | "bare",
//                     "namespace": <text>, "token": <text or null>}'
import { deepStrictEqual } from "node:assert";
import { randomUUID } from "node:crypto";
import { readFile, realpath } from "node:fs/promises";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

export const given = JSON.parse(process.argv[2]);
// The client logs to standard output, which belongs to the checks.
const print = process.stdout.write.bind(process.stdout);
process.stdout.write = process.stderr.write.bind(process.stderr);
const CHECK_MS = 40_000;
const POLL_MS = 20;

const home = await realpath(`${given.modules}/node_modules/rivetkit`);
const manifest = JSON.parse(await readFile(`${home}/package.json`));
const packageRequire = createRequire(`${home}/package.json`);
/** One of the entry points that the package exports. */
export const load = async (entry) => import(pathToFileURL(`${home}/${manifest.exports[entry].import.default}`));
/** One of the packages it depends on. */
export const dependency = (name) => packageRequire(name);

const { createClient } = await load("./client");
const clients = [];
export function newClient(more = {}) {
	const { endpoint, encoding, namespace, token } = given;
	const client = createClient({ endpoint, encoding, namespace, ...(token ? { token } : {}), ...more });
	clients.push(client);
	return client;
}
export const client = newClient();
/** A key that no other run of a script has. */
export const key = (...names) => [...names, randomUUID()];

export const equal = (got, wanted) => deepStrictEqual(got, wanted);
export function ensure(condition, what) {
	if (!condition) throw new Error(what);
}

/** Try until `attempt` gives what `until` accepts; a failing attempt counts as not yet. */
export async function eventually(attempt, until = (value) => value, ms = 15_000) {
	const deadline = Date.now() + ms;
	let last;
	while (Date.now() < deadline) {
		try {
			last = await attempt();
			if (until(last)) return last;
		} catch (error) {
			last = error;
		}
		await new Promise((resolve) => setTimeout(resolve, POLL_MS));
	}
	throw new Error(`not within ${ms} ms; last: ${last instanceof Error ? last.stack : show(last)}`);
}

/** The structured error that `work` must fail with. */
export async function failure(work) {
	try {
		await work();
	} catch (error) {
		return { group: error.group, code: error.code, message: error.message, metadata: error.metadata };
	}
	throw new Error("no error where one was due");
}

const rest = async (path, init = {}) => {
	const headers = given.token ? { authorization: `Bearer ${given.token}` } : {};
	const response = await fetch(`${given.endpoint}${path}${path.includes("?") ? "&" : "?"}namespace=${given.namespace}`, { ...init, headers });
	ensure(response.status === 200, `${path}: ${response.status} ${response.status === 200 ? "" : await response.text()}`);
	return response.json();
};
export const record = async (id) => (await rest(`/actors?actor_ids=${id}&include_destroyed=true`)).actors[0];
export const asleep = (id) => eventually(() => record(id), (actor) => actor.sleep_ts != null);
export const destroyed = (id) => eventually(() => record(id), (actor) => actor.destroy_ts != null);
/** The inspector token that an operator reads. */
export const inspectorToken = async (id) => Buffer.from((await rest(`/actors/${id}/kv/keys/Aw==`)).value, "base64").toString();

/** What a raw socket receives, in order, and how it ended. */
export function listen(socket) {
	const heard = [];
	const state = { heard, closed: undefined };
	socket.binaryType = "arraybuffer";
	socket.addEventListener("message", (event) => heard.push(event.data));
	socket.addEventListener("close", (event) => (state.closed = { code: event.code, reason: event.reason }));
	state.next = async () => {
		await eventually(() => heard.length > 0 || state.closed);
		ensure(heard.length > 0, `closed: ${show(state.closed)}`);
		return heard.shift();
	};
	state.nextJson = async () => JSON.parse(await state.next());
	return state;
}

const checks = [];
export const check = (name, body) => checks.push([name, body]);

/** Run the checks one after the other and say how each went. */
export async function run() {
	for (const [name, body] of checks) {
		let timer;
		const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`not done within ${CHECK_MS} ms`)), CHECK_MS)));
		try {
			await Promise.race([body(), late]);
			say({ name, ok: true, detail: "" });
		} catch (error) {
			say({ name, ok: false, detail: String(error?.stack ?? error) });
		} finally {
			clearTimeout(timer);
		}
	}
	await Promise.race([Promise.all(clients.map((each) => each.dispose())), new Promise((resolve) => setTimeout(resolve, 2_000))]);
	process.exit(0);
}

const say = (line) => print(`${JSON.stringify(line)}\n`);
const show = (value) => JSON.stringify(value, (_, item) => (typeof item === "bigint" ? `${item}n` : item));
