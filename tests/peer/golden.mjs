// Captures what the unmodified rivetkit client writes, and what it makes of the bytes that runtime/protocol writes.
//
//   cd <a directory with rivetkit@2.3.11 installed>
//   node <checkout>/tests/peer/golden.mjs [<output directory>]
//
// writes sent.json and accepted.json, by default into <checkout>/tests/runtime/golden; test_golden.py compares a fresh capture
// with what is there. The input of the second one, answers.json, comes from `python -m tests.runtime.golden_values`. A throw-away
// HTTP and WebSocket server plays the other end; no runtime is involved.
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { isDeepStrictEqual } from "node:util";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(`${process.cwd()}/package.json`));
const { createClient } = await import(pathToFileURL(require.resolve("rivetkit/client")));
const { WebSocketServer } = createRequire(require.resolve("rivetkit"))("ws");

const GOLDEN = new URL("../runtime/golden/", import.meta.url);
const OUT = process.argv[2] ? pathToFileURL(`${process.argv[2]}/`) : GOLDEN;
const ACTOR_ID = "5jxlv5boumuljx2d2nvyat0o2edl00";
const ENCODINGS = ["json", "cbor", "bare"];

// Names are shared with tests/runtime/golden_values.py, which holds the Python twins.
const VALUES = {
	null: null,
	undefined: undefined,
	true: true,
	false: false,
	zero: 0,
	negative_zero: -0,
	one: 1,
	negative: -1,
	byte: 255,
	uint32_max: 2 ** 32 - 1,
	two_32: 2 ** 32,
	negative_two_32: -(2 ** 32),
	below_negative_two_32: -(2 ** 32) - 1,
	tera: 2 ** 40,
	max_safe: Number.MAX_SAFE_INTEGER,
	min_safe: Number.MIN_SAFE_INTEGER,
	float: 1.5,
	tiny: 5e-324,
	huge_float: 1e300,
	nan: NaN,
	infinity: Infinity,
	big_small: 5n,
	big_64: 2n ** 63n,
	big_negative: -(2n ** 63n),
	big_100: 2n ** 100n,
	empty_text: "",
	text: "hello",
	unicode: "h\u00e9llo \u{1f600} \u0000 \"\\",
	bytes: new Uint8Array([0, 1, 2, 254, 255]),
	empty_bytes: new Uint8Array([]),
	array_buffer: new Uint8Array([1, 2, 3]).buffer,
	float32: new Float32Array([1.5, -2]),
	uint16: new Uint16Array([1, 65535]),
	int64: new BigInt64Array([1n, -1n]),
	date: new Date(1700000000000),
	date_millis: new Date(1700000000123),
	date_early: new Date(-86400000),
	regexp: /a+b/i,
	set: new Set([1, "two", 3.5]),
	empty_set: new Set(),
	map: new Map([["a", 1], ["b", [2]]]),
	map_of_numbers: new Map([[1, "one"], [2, "two"]]),
	empty_list: [],
	list: [1, 2, 3],
	pair: ["a", "b"],
	tag_lookalike: ["$Undefined", 0],
	dollar_pair: ["$x", 1],
	dollars_pair: ["$$x", 1],
	dollar_triple: ["$x", 1, 2],
	dollar_single: ["$x"],
	dollar_text: "$Undefined",
	empty_object: {},
	object: { a: 1, b: "two", c: null },
	dollar_member: { $Undefined: 0, $set: ["$y", 2] },
	undefined_member: { a: undefined, b: 1 },
	nested: { list: [{ deep: [[["x"]]] }, [], {}], text: "y", big: 2n ** 70n, set: new Set([["$q", 1]]), bytes: new Uint8Array([7]) },
	undefined_in_list: [undefined, null, 1],
};

const hex = (data) => Buffer.from(data).toString("hex");
const state = { onRequest: undefined, onSocket: undefined };

async function startServer() {
	const server = createServer(async (request, response) => {
		const chunks = [];
		for await (const chunk of request) chunks.push(chunk);
		const path = request.url.split("?")[0];
		const json = (status, value) => response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
		if (path === "/metadata") return json(200, { runtime: "engine", version: "golden" });
		const encoding = request.headers["x-rivet-encoding"];
		const answer = state.onRequest({ path, url: request.url, method: request.method, headers: request.headers, body: Buffer.concat(chunks) });
		const type = encoding === "json" ? "application/json" : "application/octet-stream";
		response.writeHead(answer.status ?? 200, { "content-type": type }).end(answer.body);
	});
	const sockets = new WebSocketServer({ server, handleProtocols: () => "rivet" });
	sockets.on("connection", (socket, request) => state.onSocket(socket, request));
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	return { server, endpoint: `http://127.0.0.1:${server.address().port}` };
}

// Minimal answers of this script's own; the careful ones come from answers.json.
const OWN_ANSWERS = {
	json: { action: Buffer.from('{"output":null}'), queue: Buffer.from('{"status":"completed"}') },
	cbor: { action: Buffer.from("a1666f7574707574f6", "hex"), queue: Buffer.from("a16673746174757369636f6d706c65746564", "hex") },
	bare: { action: Buffer.from("040001f6", "hex"), queue: Buffer.from("040009636f6d706c6574656400", "hex") },
};
const OWN_INIT = {
	json: '{"body":{"tag":"Init","val":{"actorId":"A","connectionId":"C"}}}',
	cbor: Buffer.from("a164626f6479a26374616764496e69746376616ca2676163746f7249646141" + "6c636f6e6e656374696f6e49646143", "hex"),
	bare: Buffer.from("04000001410143", "hex"),
};

const clientOf = (endpoint, encoding, more = {}) => createClient({ endpoint, encoding, ...more });

async function attempt(work) {
	try {
		return await work();
	} catch (error) {
		return { refused: String(error.message) };
	}
}

async function captureHttp(endpoint, encoding) {
	const client = clientOf(endpoint, encoding);
	const handle = client.getForId("golden", ACTOR_ID);
	const sent = { action: {}, action_args: {}, queue: {}, queue_wait: {} };
	let body;
	state.onRequest = (request) => {
		body = hex(request.body);
		return { body: OWN_ANSWERS[encoding][request.path.includes("/queue/") ? "queue" : "action"] };
	};
	const capture = async (work) => {
		body = undefined;
		const outcome = await attempt(work);
		return body ?? outcome;
	};
	for (const [name, value] of Object.entries(VALUES)) {
		sent.action[name] = await capture(() => handle.action({ name: "echo", args: [value] }));
		sent.queue[name] = await capture(() => handle.send("inbox", value));
	}
	for (const [name, args] of [["none", []], ["two", [1, "a"]], ["dollar", ["$x", 1]], ["undefined", [undefined, 1]]]) {
		sent.action_args[name] = await capture(() => handle.action({ name: "echo", args }));
	}
	sent.queue_wait.plain = await capture(() => handle.send("inbox", 1, { wait: true }));
	sent.queue_wait.timed = await capture(() => handle.send("inbox", 1, { wait: true, timeout: 300 }));
	await client.dispose();
	return sent;
}

async function captureSocket(endpoint, encoding) {
	const client = clientOf(endpoint, encoding);
	const frames = [];
	let offered;
	let waiting;
	state.onSocket = (socket, request) => {
		offered = request.headers["sec-websocket-protocol"].split(",").map((entry) => entry.trim());
		socket.on("message", (data, binary) => {
			frames.push(binary ? hex(data) : data.toString());
			waiting?.();
		});
		socket.send(OWN_INIT[encoding]);
	};
	const next = async (count) => {
		const deadline = Date.now() + 2000;
		while (frames.length < count && Date.now() < deadline) {
			await Promise.race([new Promise((resolve) => (waiting = resolve)), new Promise((resolve) => setTimeout(resolve, 100))]);
		}
	};
	const conn = client.getForId("golden", ACTOR_ID).connect({ who: "me" });
	await conn.ready;
	const sent = { protocols: offered, action: {} };
	let id = 0;
	for (const [name, value] of Object.entries(VALUES)) {
		const before = frames.length;
		const call = conn.action({ name: "echo", args: [value] });
		const refusal = await Promise.race([call.then(() => undefined, (error) => ({ refused: String(error.message) })), next(before + 1)]);
		call.catch(() => {});
		sent.action[name] = frames.length > before ? { id, frame: frames[before] } : refusal;
		id += 1;
	}
	let before = frames.length;
	const unsubscribe = conn.on("tick", () => {});
	await next(before + 1);
	sent.subscribe = frames[before];
	before = frames.length;
	unsubscribe();
	await next(before + 1);
	sent.unsubscribe = frames[before];
	await client.dispose();
	return sent;
}

async function captureUrls(endpoint) {
	const sent = [];
	state.onSocket = (socket, request) => {
		sent.at(-1).target = request.url;
		sent.at(-1).protocols = request.headers["sec-websocket-protocol"].split(",").map((entry) => entry.trim());
		socket.send(OWN_INIT.bare);
	};
	state.onRequest = () => ({ body: "{}" });
	const cases = {
		get: [{}, (client) => client.get("room", ["a", "b"])],
		get_empty_key: [{}, (client) => client.get("room", [])],
		create: [{}, (client) => client.getOrCreate("room & co", ["a b", "c/d,e"])],
		create_full: [{ token: "t o@k", namespace: "n s", poolName: "p" }, (client) => client.getOrCreate("room", ["k"], { createWithInput: { n: [1, 2n ** 64n] }, createInRegion: "r 1" })],
		by_id: [{ token: "t o@k" }, (client) => client.getForId("room", ACTOR_ID)],
		params: [{}, (client) => client.get("room", ["k"], { params: { "a b": "é/\"", n: [1, null] } })],
		skip: [{ gateway: { skipReadyWait: true } }, (client) => client.get("room", ["k"])],
		skip_by_id: [{ gateway: { skipReadyWait: true }, token: "t" }, (client) => client.getForId("room", ACTOR_ID)],
	};
	for (const [name, [options, make]] of Object.entries(cases)) {
		const client = clientOf(endpoint, "bare", options);
		const handle = make(client);
		sent.push({ name, url: (await handle.getGatewayUrl()).replace(endpoint, "") });
		await handle.connect().ready;
		await client.dispose();
	}
	return sent;
}

async function acceptHttp(endpoint, encoding, answers) {
	const client = clientOf(endpoint, encoding);
	const handle = client.getForId("golden", ACTOR_ID);
	let answer;
	state.onRequest = () => answer;
	const accepted = { action: {}, queue: {}, error: {} };
	const judge = async (work, value) => verdict(await attempt(work), value);
	for (const [name, bytes] of Object.entries(answers.action)) {
		answer = { body: Buffer.from(bytes, "hex") };
		accepted.action[name] = { bytes, ...(await judge(() => handle.action({ name: "echo", args: [] }), VALUES[name])) };
	}
	for (const [name, bytes] of Object.entries(answers.queue)) {
		answer = { body: Buffer.from(bytes, "hex") };
		const expected = { status: "completed", response: VALUES[name] };
		accepted.queue[name] = { bytes, ...(await judge(() => handle.send("inbox", null, { wait: true }), expected)) };
	}
	for (const [name, bytes] of Object.entries(answers.error)) {
		answer = { status: 500, body: Buffer.from(bytes, "hex") };
		accepted.error[name] = { bytes, ...(await caught(() => handle.action({ name: "echo", args: [] }))) };
	}
	await client.dispose();
	return accepted;
}

async function acceptSocket(endpoint, encoding, answers) {
	const client = clientOf(endpoint, encoding);
	const decode = (bytes) => (encoding === "json" ? Buffer.from(bytes, "hex").toString() : Buffer.from(bytes, "hex"));
	let server;
	let heard;
	const queue = [...Object.values(answers.action), ...Object.values(answers.error)];
	state.onSocket = (socket) => {
		server = socket;
		socket.send(decode(answers.init));
		socket.on("message", (data) => {
			heard?.();
			if (queue.length > 0 && !data.toString().includes("tick")) socket.send(decode(queue.shift()));
		});
	};
	const conn = client.getForId("golden", ACTOR_ID).connect();
	await conn.ready;
	const accepted = { init: { bytes: answers.init, connectionId: conn.connectionId ?? conn.connId, actorId: conn.actorId }, action: {}, error: {}, event: {}, event_args: {} };
	for (const [name, bytes] of Object.entries(answers.action)) {
		const got = await attempt(() => conn.action({ name: "echo", args: [] }));
		accepted.action[name] = { bytes, ...verdict(got, VALUES[name]) };
	}
	for (const [name, bytes] of Object.entries(answers.error)) {
		accepted.error[name] = { bytes, ...(await caught(() => conn.action({ name: "echo", args: [] }))) };
	}
	const events = [];
	let wake;
	const subscribed = new Promise((resolve) => (heard = resolve));
	conn.on("tick", (...args) => {
		events.push(args);
		wake?.();
	});
	await subscribed;
	const deliver = async (bytes) => {
		const arrival = new Promise((resolve) => (wake = resolve));
		server.send(decode(bytes));
		await Promise.race([arrival, new Promise((resolve) => setTimeout(resolve, 1000))]);
		return events.pop();
	};
	for (const [name, bytes] of Object.entries(answers.event)) {
		const args = await deliver(bytes);
		accepted.event[name] = { bytes, ...(args ? verdict(args[0], VALUES[name]) : { same: false }) };
	}
	for (const [name, bytes] of Object.entries(answers.event_args)) accepted.event_args[name] = { bytes, args: await deliver(bytes) };
	await client.dispose();
	return accepted;
}

async function caught(work) {
	try {
		await work();
		return { error: null };
	} catch (error) {
		const metadata = error.metadata === undefined ? undefined : JSON.parse(JSON.stringify(error.metadata));
		return { error: { group: error.group, code: error.code, message: error.message, metadata } };
	}
}

// `same` is strict equality of values; `shown` explains a difference.
function verdict(got, value) {
	const same = isDeepStrictEqual(plain(got), plain(value));
	return same ? { same } : { same, shown: show(got), wanted: show(value) };
}

// -0 is written as 0 by both sides; `undefined` members and absent ones are the same object to a reader.
function plain(value) {
	if (Object.is(value, -0)) return 0;
	if (value && Object.getPrototypeOf(value) === Object.prototype) {
		return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined).map(([name, item]) => [name, plain(item)]));
	}
	return value;
}

function show(value) {
	return JSON.stringify(value, (_, item) => {
		if (typeof item === "bigint") return `${item}n`;
		if (item === undefined) return "<undefined>";
		if (typeof item === "number" && !Number.isFinite(item)) return `<${item}>`;
		if (item instanceof Map || item instanceof Set) return { [item.constructor.name]: [...item] };
		if (ArrayBuffer.isView(item) || item instanceof ArrayBuffer || item instanceof RegExp) return `<${item.constructor.name}>`;
		return item;
	});
}

const write = (name, value) => writeFile(new URL(name, OUT), `${JSON.stringify(value, null, 1)}\n`);
const { server, endpoint } = await startServer();
const sent = { urls: await captureUrls(endpoint), http: {}, socket: {} };
for (const encoding of ENCODINGS) {
	sent.http[encoding] = await captureHttp(endpoint, encoding);
	sent.socket[encoding] = await captureSocket(endpoint, encoding);
}
await write("sent.json", sent);
const answers = JSON.parse(await readFile(new URL("answers.json", GOLDEN)).catch(() => "{}"));
const accepted = {};
for (const [encoding, kinds] of Object.entries(answers)) {
	accepted[encoding] = { http: await acceptHttp(endpoint, encoding, kinds.http), socket: await acceptSocket(endpoint, encoding, kinds.socket) };
}
await write("accepted.json", accepted);
server.close();
process.exit(0);
