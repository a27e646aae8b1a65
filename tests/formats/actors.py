"""An actor of each kind, as a data directory of any release may hold it; on the public API, because older releases run this file, too."""

from __future__ import annotations

from runtime import Actor, Options, Queue, action, raw_database
from runtime.workflow import workflow

FAR = 4_102_444_800_000
"""1 January 2100, in milliseconds."""
OPTIONS = Options(sleep_timeout=600.0, state_save_interval=0.05)


class Counter(Actor):
    """State, entries, schedules, a queue that nobody reads."""

    name = "counter"
    queues = {"jobs": Queue()}
    options = OPTIONS

    def create_state(self, c, given):
        return {"n": 0, "rung": 0, "text": given or ""}

    @action
    async def fill(self, c):
        c.state.n += 41
        await c.kv.put("color", "green")
        await c.kv.put(b"\x00\xff", b"\x01\x02", type="binary")
        await c.queue.send("jobs", {"size": 3})
        await c.queue.send("jobs", {"size": 4})
        await c.schedule.at(FAR, "ring", "later")
        await c.cron.every(name="often", interval=5, action="ring", args=["often"])

    @action
    def ring(self, c, what, fire=None):
        c.state.rung += 1

    @action
    async def calm(self, c):
        await c.cron.every(name="often", interval=10 * 365 * 86400, action="ring", args=["seldom"])
        await c.cron.set(name="yearly", expression="0 0 1 1 *", action="ring", args=["year"], timezone="Europe/Berlin")
        await c.save_state(immediate=True)

    @action
    async def rung(self, c):
        return c.state.rung

    @action
    def give_up(self, c):
        c.destroy()

    @action
    async def found(self, c):
        messages = [await c.queue.try_next(["jobs"]) for _ in range(3)]
        return {
            "n": c.state.n,
            "text": c.state.text,
            "color": await c.kv.get("color"),
            "bytes": await c.kv.get(b"\x00\xff", type="binary"),
            "jobs": [message.body["size"] for message in messages if message is not None],
            "at": [one["action"] for one in await c.schedule.list()],
            "cron": sorted(one["name"] for one in await c.cron.list()),
            "history": len(await c.cron.history("often")) > 0,
        }


class Stored(Counter):
    """The same in an actor with a database."""

    name = "stored"
    database = raw_database(on_migrate=lambda db: db.execute("CREATE TABLE IF NOT EXISTS words (word TEXT)"))

    @action
    async def write(self, c):
        await c.db.execute("INSERT INTO words VALUES ('alpha'), ('omega')")

    @action
    async def words(self, c):
        return [row["word"] for row in await c.db.execute("SELECT word FROM words ORDER BY word")]


class Room(Actor):
    """A connection that hibernates when the process ends."""

    name = "room"
    state = {"left": []}
    options = Options(sleep_timeout=600.0, state_save_interval=0.05, can_hibernate_web_socket=True)

    def create_conn_state(self, c, params):
        # A call over HTTP has a short connection of its own, without parameters.
        return {"name": params["name"] if params else None}

    def on_disconnect(self, c, conn):
        if conn.state.name is not None:
            c.state.left.append(conn.state.name)

    @action
    async def here(self, c):
        await c.save_state(immediate=True)
        return len(c.conns)

    @action
    def left(self, c):
        return list(c.state.left)


class Order(Actor):
    """A workflow in the middle of a long sleep, behind two steps."""

    name = "order"
    state = {"charged": 0, "receipt": None, "tries": 0}
    options = OPTIONS

    @workflow
    async def run(self, ctx):
        async def charge(step):
            step.state.charged += 1
            return {"receipt": 7}

        async def count(step):
            step.state.tries += 1

        async def note(step):
            step.state.receipt = receipt["receipt"]

        receipt = await ctx.step("charge", charge)
        await ctx.step("note", note)
        await ctx.sleep("for years", 10 * 365 * 86400)
        await ctx.step("count", count)

    @action
    def status(self, c):
        return {"charged": c.state.charged, "receipt": c.state.receipt, "tries": c.state.tries}


KINDS = (Counter, Stored, Room, Order)
