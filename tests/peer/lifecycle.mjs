// Sleep, wake and destroy, seen through keys, ids and handles made before.
import { asleep, check, client, destroyed, ensure, equal, eventually, failure, key, record, run } from "./checks.mjs";

check("sleep and wake by key", async () => {
	const name = key("wake");
	const before = client.sleep.getOrCreate(name);
	equal(await before.getCounts(), { startCount: 1, sleepCount: 0 });
	const id = await before.resolve();
	await before.triggerSleep();
	await asleep(id);
	const after = client.sleep.get(name);
	equal(await after.getCounts(), { startCount: 2, sleepCount: 1 });
	equal(await after.resolve(), id);
});

check("a handle from before the sleep", async () => {
	const handle = client.sleep.getOrCreate(key("again"));
	const id = await handle.resolve();
	await handle.triggerSleep();
	await asleep(id);
	equal(await handle.getCounts(), { startCount: 2, sleepCount: 1 });
});

check("wake by id", async () => {
	const id = await client.sleep.getOrCreate(key("by-id")).resolve();
	const handle = client.sleep.getForId(id);
	await handle.triggerSleep();
	await asleep(id);
	equal(await handle.getCounts(), { startCount: 2, sleepCount: 1 });
});

check("sleep of an idle actor", async () => {
	const handle = client.sleep.getOrCreate(key("idle"));
	equal(await handle.getCounts(), { startCount: 1, sleepCount: 0 });
	await asleep(await handle.resolve());
	equal(await handle.getCounts(), { startCount: 2, sleepCount: 1 });
});

check("an alarm wakes", async () => {
	const handle = client.sleep.getOrCreate(key("alarm"));
	const id = await handle.resolve();
	await handle.setAlarm(1_500);
	await handle.triggerSleep();
	await asleep(id);
	// A call would itself wake the actor, so none is made before the alarm has; it is awake for a second then, and idle.
	await eventually(() => record(id), (actor) => actor.sleep_ts == null);
	await asleep(id);
	equal(await handle.getCounts(), { startCount: 3, sleepCount: 2 });
});

check("a call in progress goes on", async () => {
	const name = key("long");
	const handle = client.sleepWithLongRpc.getOrCreate(name);
	const conn = handle.connect();
	const waiting = new Promise((resolve) => conn.once("waiting", resolve));
	await conn.getCounts();
	const call = conn.longRunningRpc();
	await waiting;
	await handle.finishLongRunningRpc();
	await call;
	equal(await handle.getCounts(), { startCount: 1, sleepCount: 0 });
	await conn.dispose();
});

check("destroy", async () => {
	const name = key("destroy");
	const handle = client.destroyActor.getOrCreate(name);
	equal(await handle.setValue(9), 9);
	const id = await handle.resolve();
	await handle.destroy();
	await destroyed(id);
	for (const gone of [client.destroyActor.get(name), client.destroyActor.getForId(id)]) {
		const { group, code } = await failure(() => gone.getValue());
		equal([group, code], ["actor", "not_found"]);
	}
	await eventually(() => client.destroyObserver.getOrCreate(["observer"]).wasDestroyed(name.join("/")));
});

check("a key is free after the destroy", async () => {
	const name = key("reborn");
	const handle = client.destroyActor.getOrCreate(name);
	await handle.setValue(9);
	const id = await handle.resolve();
	await handle.destroy();
	await destroyed(id);
	equal(await handle.getValue(), 0);
	const successor = await client.destroyActor.get(name).resolve();
	ensure(successor !== id, "a new actor has a new id");
});

check("destroy closes connections", async () => {
	const handle = client.destroyActor.getOrCreate(key("conn"));
	const conn = handle.connect();
	await conn.ready;
	let closed = 0;
	conn.onClose(() => (closed += 1));
	await handle.destroy();
	await eventually(() => closed > 0);
	await conn.dispose();
});

await run();
