"""Actors that do everything that is acknowledged. Values are numbers that only one call uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime import Actor, Options, Queue, action, clock, raw_database
from runtime.workflow import Break, Continue, CriticalError, workflow

if TYPE_CHECKING:
    from runtime import Context

TABLES = "CREATE TABLE IF NOT EXISTS items (n INTEGER); CREATE TABLE IF NOT EXISTS pairs (n INTEGER, half INTEGER)"
KEYS = b"\x04"
"""What the keys of `c.kv` begin with where they are raw."""
GROUPS = {"batch": (b"b1", b"b2", b"b3"), "range": (b"r1", b"r2", b"r3")}


class Plain(Actor):
    """State, queue, schedules and key-value entries, in rows of the runtime alone."""

    name = "plain"
    options = Options(sleep_timeout=600.0, state_save_interval=1.0)
    queues = {"work": Queue(), "asked": Queue()}

    def create_state(self, _c: Context, given: Any) -> dict[str, Any]:
        return {"owner": given, "saved": 0, "throttled": 0, "slow": False, "wakes": 0, "fires": [], "ticks": [], "done": []}

    async def on_wake(self, c: Context) -> None:
        """A long one, with a commit in the middle: an alarm that it serves must outlive it."""
        if c.state.slow:
            await clock.sleep(1)
            c.state.wakes += 1
            await c.save_state(immediate=True)
            await clock.sleep(1)

    async def run(self, c: Context) -> None:
        """Answers what is asked."""
        async for message in c.queue.iter(["asked"], completable=True):
            c.state.done.append(message.body)
            await c.save_state(immediate=True)
            await message.complete(message.body)

    @action
    async def save(self, c: Context, n: int) -> int:
        c.state.saved = n
        await c.save_state(immediate=True)
        return n

    @action
    async def slow(self, c: Context) -> None:
        c.state.slow = True
        await c.save_state(immediate=True)

    @action
    def count(self, c: Context, n: int) -> int:
        c.state.throttled = n
        return n

    @action
    def look(self, c: Context) -> int:
        return c.state.throttled

    @action
    def nap(self, c: Context) -> None:
        c.sleep()

    @action
    def end(self, c: Context) -> None:
        c.destroy()

    # Schedules.

    @action
    async def after(self, c: Context, seconds: float, n: int) -> str:
        return await c.schedule.after(seconds, "fire", n)

    @action
    async def at(self, c: Context, seconds: float, n: int) -> str:
        return await c.schedule.at(clock.now_ms() + seconds * 1000, "fire", n)

    @action
    async def cancel(self, c: Context, n: int) -> bool:
        found = [item["id"] for item in await c.schedule.list() if item["args"] == [n]]
        return await c.schedule.cancel(found[0]) if found else False

    @action
    async def fire(self, c: Context, n: int) -> None:
        c.state.fires.append([n, clock.now_ms()])
        await c.save_state(immediate=True)

    @action
    async def every(self, c: Context, name: str, seconds: float) -> None:
        await c.cron.every(name=name, interval=seconds, action="tick", args=[name], max_history=2)

    @action
    async def cron(self, c: Context, name: str, expression: str) -> None:
        await c.cron.set(name=name, expression=expression, action="tick", args=[name], max_history=2)

    @action("uncron")
    async def delete_cron(self, c: Context, name: str) -> bool:
        return await c.cron.delete(name)

    @action
    async def tick(self, c: Context, name: str) -> None:
        c.state.ticks.append([name, clock.now_ms()])
        await c.save_state(immediate=True)

    # The queue.

    @action
    async def enqueue(self, c: Context, n: int) -> None:
        await c.queue.send("work", n)

    @action
    async def consume(self, c: Context) -> int | None:
        message = await c.queue.next(["work"], timeout=0, completable=True)
        if message is None:
            return None
        await message.complete()
        return message.body

    @action
    async def take(self, c: Context) -> int | None:
        message = await c.queue.try_next(["work"])
        return None if message is None else message.body

    # Key-value entries.

    @action
    async def put(self, c: Context, key: str, value: str) -> None:
        await c.kv.put(key, value)

    @action
    async def delete(self, c: Context, key: str) -> None:
        await c.kv.delete(key)

    @action("batch")
    async def put_batch(self, c: Context, group: str, value: str) -> None:
        await c.kv.batch_put([(KEYS + key, value.encode()) for key in GROUPS[group]])

    @action("unbatch")
    async def delete_batch(self, c: Context, group: str) -> None:
        await c.kv.batch_delete([KEYS + key for key in GROUPS[group]])

    @action("unrange")
    async def delete_range(self, c: Context) -> None:
        await c.kv.delete_range("r1", "r9")

    @action
    async def report(self, c: Context) -> dict[str, Any]:
        """Everything that it holds; messages are taken out."""
        queued = []
        while (message := await c.queue.try_next(["work"])) is not None:
            queued.append(message.body)
        crons = {item["name"]: await c.cron.history(item["name"]) for item in await c.cron.list()}
        state = {name: c.state[name] for name in ("owner", "saved", "throttled", "fires", "ticks", "done")}
        scheduled = [item["args"][0] for item in await c.schedule.list()]
        return {**state, "queued": queued, "scheduled": scheduled, "crons": crons, "kv": dict(await c.kv.list()), **await self.rows(c)}

    async def rows(self, _c: Context) -> dict[str, Any]:
        return {}


class Stored(Plain):
    """The same beside a database."""

    name = "stored"
    database = raw_database(on_migrate=lambda db: db.execute(TABLES), warn_on_manual_transactions=False)

    @action
    async def insert(self, c: Context, n: int) -> None:
        await c.db.execute("INSERT INTO items VALUES (?)", n)

    @action
    async def script(self, c: Context, n: int) -> None:
        await c.db.execute(f"INSERT INTO items VALUES ({n}); INSERT INTO items VALUES ({n + 1})")

    @action
    async def pair(self, c: Context, n: int) -> None:
        async def both(tx: Any) -> None:
            await tx.execute("INSERT INTO pairs VALUES (?, 1)", n)
            await tx.execute("INSERT INTO pairs VALUES (?, 2)", n)

        await c.db.transaction(both)

    @action
    async def undone(self, c: Context, n: int) -> None:
        async def neither(tx: Any) -> None:
            await tx.execute("INSERT INTO pairs VALUES (?, 1)", n)
            raise LookupError("changed its mind")

        try:
            await c.db.transaction(neither)
        except LookupError:
            return

    @action
    async def joined(self, c: Context, n: int) -> None:
        """Everything that a transaction may contain."""
        await c.db.transaction(lambda tx: self._joined(c, tx, n))

    @action
    async def unjoined(self, c: Context, n: int) -> None:
        async def neither(tx: Any) -> None:
            await self._joined(c, tx, n)
            raise LookupError("changed its mind")

        try:
            await c.db.transaction(neither)
        except LookupError:
            return

    async def _joined(self, c: Context, tx: Any, n: int) -> None:
        await tx.execute("INSERT INTO pairs VALUES (?, 1)", n)
        await c.queue.send("work", n)
        await c.schedule.after(400, "fire", n)
        c.state.saved = n
        await c.save_state(immediate=True)
        await tx.execute("INSERT INTO pairs VALUES (?, 2)", n)

    @action
    async def manual(self, c: Context, n: int) -> None:
        await c.db.execute("BEGIN")
        try:
            await c.db.execute("INSERT INTO pairs VALUES (?, 1)", n)
            await c.db.execute("INSERT INTO pairs VALUES (?, 2)", n)
            await c.db.execute("COMMIT")
        except BaseException:
            # As careful code does; what SQLite has ended by itself needs no end.
            try:
                await c.db.execute("ROLLBACK")
            except Exception:
                c.log.debug("nothing to roll back")
            raise

    async def rows(self, c: Context) -> dict[str, Any]:
        items, pairs = await c.db.execute("SELECT n FROM items"), await c.db.execute("SELECT n FROM pairs")
        return {"items": [row["n"] for row in items], "pairs": [row["n"] for row in pairs]}


FLOWED = ["first", "turn 0", "turn 1", "left", "right", "go", "last"]
UNDONE = ["a", "b", "undo b", "undo a"]


def noting(what: str) -> Any:
    """A step that notes itself."""

    def body(step: Any) -> str:
        step.state.log.append(what)
        return what

    return body


class Flow(Actor):
    """A workflow of every kind of entry."""

    name = "flow"
    options = Options(sleep_timeout=600.0)
    queues = {"go": Queue()}
    state = {"log": []}

    @workflow
    async def run(self, ctx: Any) -> None:
        await ctx.step("first", noting("first"))

        async def turn(loop: Any, n: int) -> Any:
            await loop.step("turn", noting(f"turn {n}"))
            return Continue(n + 1) if n < 1 else Break(n)

        await ctx.loop("turns", turn, state=0)
        await ctx.join("sides", {side: lambda branch, side=side: branch.step("side", noting(side)) for side in ("left", "right")})
        await ctx.sleep("pause", 2)
        message = await ctx.queue.next("receive", names=["go"])
        await ctx.step("got", noting(message.name))
        await ctx.step("last", noting("last"))

    @action
    def log(self, c: Context) -> list[str]:
        return list(c.state.log)

    @action
    async def saved(self, c: Context) -> list[str]:
        await c.save_state(immediate=True)
        return list(c.state.log)


class Undo(Actor):
    """A workflow that fails and is rolled back."""

    name = "undo"
    options = Options(sleep_timeout=600.0)
    state = {"log": []}

    @workflow
    async def run(self, ctx: Any) -> None:
        await ctx.rollback_checkpoint("checkpoint")
        for name in ("a", "b"):
            await ctx.step(name, noting(name), rollback=lambda step, _output, name=name: step.state.log.append(f"undo {name}"))

        def fail(_step: Any) -> None:
            raise CriticalError("no")

        await ctx.step("c", fail)

    @action
    def log(self, c: Context) -> list[str]:
        return list(c.state.log)


class StoredFlow(Flow):
    """The same in an actor that has a database."""

    name = "storedFlow"
    database = raw_database(on_migrate=lambda db: db.execute(TABLES))


class Room(Actor):
    """Connections that hibernate, and whose state is noted when they are gone."""

    name = "room"
    options = Options(sleep_timeout=600.0, can_hibernate_web_socket=True)
    state = {"left": []}

    def create_conn_state(self, _c: Context, _params: Any) -> dict[str, int]:
        return {"n": 0}

    async def on_disconnect(self, c: Context, conn: Any) -> None:
        # Calls by HTTP have short connections of their own.
        if conn.is_hibernatable:
            c.state.left.append(conn.state.n)
            await c.save_state(immediate=True)

    @action
    async def remember(self, c: Context, n: int) -> int:
        c.conn.state.n = n
        await c.save_state(immediate=True)
        return n

    @action
    def nap(self, c: Context) -> None:
        c.sleep()

    @action
    def left(self, c: Context) -> dict[str, Any]:
        return {"left": list(c.state.left), "here": sum(conn.is_hibernatable for conn in c.conns.values())}


ACTORS = (Plain, Stored, Flow, StoredFlow, Undo, Room)
