// The inspector through the codecs and the versioned handlers of the package's own inspector client.
import { check, client, dependency, ensure, equal, eventually, inspectorToken, key, load, run } from "./checks.mjs";

const codec = await load("./inspector/client");
const { encode: cborOf, decode: fromCbor } = dependency("cbor-x");

/** The URL and token of an actor's inspector. */
async function inspector(handle, name) {
	const id = await handle.resolve();
	const base = `${await client[name].getForId(id).getGatewayUrl()}/inspector`;
	// The token exists from the first start on; any inspector request, also a refused one, waits for it.
	equal((await fetch(`${base}/state`)).status, 401);
	return { base, token: await inspectorToken(id) };
}

/** One inspector socket: messages as the newest version has them, whatever version is spoken. */
class Session {
	#pushed = [];
	#answers = new Map();
	#last = 0n;

	constructor({ base, token }, version = codec.CURRENT_VERSION) {
		this.version = version;
		const url = `${base.replace(/^http/, "ws")}/connect?protocol_version=${version}`;
		this.socket = new WebSocket(url, ["rivet", `rivet_inspector_token.${token}`]);
		this.socket.binaryType = "arraybuffer";
		this.socket.addEventListener("close", (event) => (this.closed = { code: event.code, reason: event.reason }));
		this.socket.addEventListener("message", (event) => {
			const { body } = codec.TO_CLIENT_VERSIONED.deserialize(new Uint8Array(event.data), version);
			if (body.val.rid === undefined) this.#pushed.push(body);
			else this.#answers.set(body.val.rid, body);
		});
	}

	async send(tag, val) {
		await eventually(() => this.socket.readyState !== WebSocket.CONNECTING);
		this.socket.send(codec.TO_SERVER_VERSIONED.serialize({ body: { tag, val } }, this.version));
	}

	/** Send a request; the `val` of its answer. */
	async ask(tag, val = {}) {
		const id = (this.#last += 1n);
		await this.send(tag, { id, ...val });
		await eventually(() => this.#answers.has(id) || this.closed);
		ensure(this.#answers.has(id), `closed: ${JSON.stringify(this.closed)}`);
		return this.#answers.get(id).val;
	}

	/** The `val` of the first message with this tag that nobody asked for; those before it are dropped. */
	async pushed(tag, until = () => true) {
		const found = () => this.#pushed.findIndex((body) => body.tag === tag && until(body.val));
		await eventually(() => found() >= 0 || this.closed);
		const index = found();
		ensure(index >= 0, `closed: ${JSON.stringify(this.closed)}`);
		return this.#pushed.splice(0, index + 1).at(-1).val;
	}

	close() {
		this.socket.close();
	}
}

const value = (bytes) => fromCbor(new Uint8Array(bytes));
const bytesOf = (given) => new Uint8Array(cborOf(given)).slice().buffer;
const counter = () => client.counter.getOrCreate(key("inspected"));

for (const version of [1, 2, 3, 4, 5, 6]) {
	check(`handshake in version ${version}`, async () => {
		const handle = counter();
		await handle.increment(version);
		const session = new Session(await inspector(handle, "counter"), version);
		const init = await session.pushed("Init");
		equal(init.isStateEnabled, true);
		equal(init.connections, []);
		ensure(["getCount", "getKey", "increment", "setCount"].every((name) => init.rpcs.includes(name)), init.rpcs.join());
		await eventually(async () => value((await session.ask("StateRequest")).state), (state) => state.count === version);
		equal((await session.ask("RpcsListRequest")).rpcs.toSorted(), init.rpcs.toSorted());
		session.close();
	});
}

check("refused handshakes", async () => {
	const { base, token } = await inspector(counter(), "counter");
	const wrong = new Session({ base, token: "wrong" });
	equal(await eventually(() => wrong.closed), { code: 1008, reason: "inspector.unauthorized" });
	const future = new Session({ base, token }, codec.CURRENT_VERSION + 1);
	equal(await eventually(() => future.closed), { code: 1002, reason: "inspector.invalid_protocol_version" });
});

check("state is shown and told", async () => {
	const handle = counter();
	const session = new Session(await inspector(handle, "counter"));
	equal(value((await session.pushed("Init")).state), { count: 0 });
	await handle.increment(5);
	equal(value((await session.pushed("StateUpdated", (val) => value(val.state).count === 5)).state), { count: 5 });
	session.close();
});

check("state is patched", async () => {
	const handle = counter();
	const session = new Session(await inspector(handle, "counter"));
	await session.pushed("Init");
	await session.send("PatchStateRequest", { state: bytesOf({ count: 77 }) });
	await session.pushed("StateUpdated", (val) => value(val.state).count === 77);
	equal(await handle.getCount(), 77);
	session.close();
});

check("actions", async () => {
	const handle = counter();
	const session = new Session(await inspector(handle, "counter"));
	equal(value((await session.ask("ActionRequest", { name: "increment", args: bytesOf([3]) })).output), 3);
	equal(await handle.getCount(), 3);
	session.close();
});

check("connections", async () => {
	const handle = counter();
	const session = new Session(await inspector(handle, "counter"));
	equal((await session.pushed("Init")).connections, []);
	const conn = handle.connect();
	await conn.ready;
	const { connections } = await session.pushed("ConnectionsUpdated", (val) => val.connections.length === 1);
	const listed = await session.ask("ConnectionsRequest");
	equal(listed.connections.map((each) => each.id), connections.map((each) => each.id));
	equal(typeof value(listed.connections[0].details), "object");
	await conn.dispose();
	await session.pushed("ConnectionsUpdated", (val) => val.connections.length === 0);
	session.close();
});

check("queue", async () => {
	const handle = client.queueActor.getOrCreate(key("inspected"));
	const session = new Session(await inspector(handle, "queueActor"));
	equal((await session.pushed("Init")).queueSize, 0n);
	await handle.send("greeting", 1);
	await handle.send("tasks", 2);
	await session.pushed("QueueUpdated", (val) => val.queueSize === 2n);
	const { status } = await session.ask("QueueRequest", { limit: 1n });
	equal([status.size, status.truncated, status.messages.map((message) => message.name)], [2n, true, ["greeting"]]);
	session.close();
});

check("workflow", async () => {
	const handle = client.workflowQueueActor.getOrCreate(key("inspected"));
	const sent = await handle.send("workflow-default", "go", { wait: true, timeout: 20_000 });
	equal(sent.status, "completed");
	const session = new Session(await inspector(handle, "workflowQueueActor"));
	equal((await session.pushed("Init")).isWorkflowEnabled, true);
	const stepped = (bytes) => {
		const history = codec.decodeWorkflowHistoryTransport(bytes);
		const steps = history.entries.filter((entry) => entry.kind.tag === "WorkflowStepEntry");
		const at = steps.find((entry) => history.nameRegistry[entry.location.at(-1).val] === "store-message");
		return at && history.entryMetadata.get(at.id);
	};
	const found = await eventually(
		async () => stepped((await session.ask("WorkflowHistoryRequest")).history),
		(metadata) => metadata?.status === "COMPLETED",
	);
	equal([found.attempts, found.error], [1, null]);
	session.close();
});

check("an actor without a workflow", async () => {
	const session = new Session(await inspector(counter(), "counter"));
	const { history, isWorkflowEnabled } = await session.ask("WorkflowHistoryRequest");
	equal([history, isWorkflowEnabled], [null, false]);
	session.close();
});

check("schedules", async () => {
	const handle = client.sleep.getOrCreate(key("inspected"));
	await handle.setAlarm(60_000);
	const session = new Session(await inspector(handle, "sleep"));
	const { schedules } = await session.ask("SchedulesRequest");
	equal(schedules.map((schedule) => [schedule.kind, schedule.action]), [["at", "onAlarm"]]);
	session.close();
});

check("database", async () => {
	const session = new Session(await inspector(client.dbActorRaw.getOrCreate(key("inspected")), "dbActorRaw"));
	equal((await session.pushed("Init")).isDatabaseEnabled, true);
	const { tables } = value((await session.ask("DatabaseSchemaRequest")).schema);
	ensure(tables.length > 0, "a table");
	const { result } = await session.ask("DatabaseTableRowsRequest", { table: tables[0].table.name, limit: 10n, offset: 0n });
	ensure(Array.isArray(value(result)), "rows");
	session.close();
});

check("sleep ends the session", async () => {
	const handle = client.sleep.getOrCreate(key("inspected"));
	const session = new Session(await inspector(handle, "sleep"));
	await session.pushed("Init");
	await handle.triggerSleep();
	equal(await eventually(() => session.closed), { code: 1000, reason: "actor.stopped" });
});

check("over HTTP", async () => {
	const handle = counter();
	await handle.increment(2);
	const { base, token } = await inspector(handle, "counter");
	const call = async (method, path, body) => {
		const headers = { authorization: `Bearer ${token}`, ...(body ? { "content-type": "application/json" } : {}) };
		const response = await fetch(`${base}/${path}`, { method, headers, body: body && JSON.stringify(body) });
		ensure(response.status === 200, `${method} ${path}: ${response.status}`);
		return response.json();
	};
	await eventually(() => call("GET", "state"), (answer) => answer.state.count === 2);
	await call("PATCH", "state", { state: { count: 40 } });
	equal((await call("POST", "action/increment", { args: [2] })).output, 42);
	equal((await call("GET", "connections")).connections, []);
	equal((await call("GET", "queue")).size, 0);
	equal((await call("GET", "workflow-history")).isWorkflowEnabled, false);
	equal((await call("GET", "summary")).rpcs.includes("increment"), true);
	equal(await handle.getCount(), 42);
});

await run();
