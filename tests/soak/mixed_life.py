"""Hours of everything that a host is asked to do, in virtual time, the same in each hour; and what is alive after each."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ctypes
import gc
import logging
import os
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import structlog

from client import ActorError, Client, HttpFailureError
from runtime import (
    NO_RATE_LIMITS,
    VIRTUAL_TIME,
    Actor,
    HostOptions,
    InProcessServer,
    Options,
    Queue,
    Registry,
    Response,
    SQLiteStorage,
    UserError,
    action,
    create_app,
    raw_database,
)
from runtime.actor.lifecycle.task import ActorTask
from runtime.workflow import workflow
from tests.serving.memory import in_use, resident

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator
    from pathlib import Path

SLEEPY = Options(sleep_timeout=20.0, can_hibernate_web_socket=True)
ADMIN = {"authorization": "Bearer admin"}
HOSTILE = (
    b"\xd8\x1c\x82\xd8\x1d\x00\x00", b"\x9b" + b"\xff" * 8, b"\x81" * 9_999, b"", b"{", b"\xff" * 200, b'{"args":{}}',
    b'{"args":[' + b"[" * 5000,
)  # fmt: skip


class Busy(Actor):
    """Every hook, and most of what an actor may do."""

    name = "busy"
    options = SLEEPY
    queues = {"jobs": Queue(), "asks": Queue()}

    def on_migrate(self, c, is_new):
        pass

    def create_state(self, c, given):
        return {"n": 0, "log": [], "texts": {}}

    def on_create(self, c, given):
        c.state.log.append("create")

    def create_vars(self, c, driver):
        return {"woken": 0}

    def on_wake(self, c):
        c.vars["woken"] += 1
        c.abort_signal.add_listener(lambda: None)

    def on_sleep(self, c):
        c.state.log = c.state.log[-5:]

    def on_destroy(self, c):
        pass

    def on_state_change(self, c, state):
        c.vars["changed"] = True

    def on_before_connect(self, c, params):
        pass

    def create_conn_state(self, c, params):
        return {"seen": 0}

    def on_connect(self, c, conn):
        conn.state.seen += 1

    def on_disconnect(self, c, conn):
        pass

    def on_request(self, c, request):
        return Response(status=200, body=request.url.encode())

    def on_web_socket(self, c, socket):
        socket.on("message", lambda event: socket.send(event.data))

    def on_before_action_response(self, c, name, args, output):
        return output

    async def run(self, c):
        async for message in c.queue.iter(["asks"], completable=True):
            await message.complete(message.body)

    @action
    def add(self, c, by):
        c.state.n += by
        c.state.texts[str(c.state.n % 10)] = "x" * 100
        c.broadcast("added", c.state.n)
        return c.state.n

    @action
    def read(self, c):
        return c.state.n

    @action
    async def keep(self, c, number):
        await c.kv.put(f"k{number % 20}", "v" * 500)
        await c.kv.delete(f"k{(number + 7) % 20}")
        return len(await c.kv.list("k"))

    @action
    async def take(self, c):
        return len(await c.queue.next_batch(["jobs"], count=50, timeout=0))

    @action
    async def plan(self, c):
        await c.cron.every(name="often", interval=600, action="ring")
        cancelled = await c.schedule.after(3600, "ring")
        await c.schedule.cancel(cancelled)
        return await c.schedule.after(5, "ring")

    @action
    def ring(self, c, fire=None):
        c.state.n += 1

    @action
    async def listen(self, c):
        c.abort_signal.add_listener(lambda: None)
        return c.abort_signal.aborted

    @action
    def fail(self, c, text):
        raise UserError(text, metadata={"text": text})

    @action
    def burst(self, c, text):
        raise ValueError(text)

    @action
    def leave(self, c):
        c.destroy()


class Kept(Busy):
    """The same with a database."""

    name = "kept"
    database = raw_database(on_migrate=lambda db: db.execute("CREATE TABLE IF NOT EXISTS t (n INTEGER, text TEXT)"))

    @action
    async def insert(self, c, number):
        async with contextlib.AsyncExitStack():
            await c.db.transaction(lambda tx: tx.execute("INSERT INTO t VALUES (?, ?)", number, "x" * 300))
        await c.db.execute("DELETE FROM t WHERE n < ?", number - 100)
        return (await c.db.execute("SELECT count(*) AS n FROM t"))[0]["n"]

    @action
    async def wrong(self, c):
        await c.db.execute("SELECT nothing FROM nowhere")


class Steps(Actor):
    """A workflow that sleeps in the middle and ends."""

    name = "steps"
    state = {"done": 0}
    options = SLEEPY
    database = raw_database()

    @workflow
    async def run(self, ctx):
        async def once(step):
            step.state.done += 1
            return step.state.done

        for name in ("a", "b"):
            await ctx.step(name, once)
        await ctx.sleep("nap", 60)
        await ctx.step("c", once)

    @action
    def done(self, c):
        return c.state.done


@dataclass
class Reading:
    """What is alive after a collection. `rss`, `held` (by C code and large objects), `small` (objects) and `disk` are bytes."""

    rss: int
    held: int
    small: int
    blocks: int
    tasks: int
    threads: int
    files: int
    types: Counter[str] = field(repr=False)
    disk: int = 0


def size_of(directory: str | Path) -> int:
    """Bytes of all files in it. No Path of each, which would have its parts interned (`check_database`)."""
    return sum(size_of(entry.path) if entry.is_dir() else entry.stat().st_size for entry in os.scandir(directory))


def reading(directory: Path) -> Reading:
    """Collect, then count."""
    for _ in range(3):
        gc.collect()
    # What the allocator of C keeps for later is free, too.
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
    objects = gc.get_objects()
    # Interned, because what is measured must not be the measure: a thousand names, each hour anew.
    types = Counter(sys.intern(f"{type(one).__module__}.{type(one).__qualname__}") for one in objects)
    tasks = sum(isinstance(one, ActorTask) for one in objects)
    del objects
    rss, (held, small) = resident(), in_use()
    threads, files = (sum(1 for _ in os.scandir(f"/proc/self/{folder}")) for folder in ("task", "fd"))
    return Reading(rss, held, small, sys.getallocatedblocks(), tasks, threads, files, types, size_of(directory))


class MixedLife:
    """Rounds of operations on a few actors that stay and many that come and go.

    Args:
        server: Where they are hosted.
        scale: How often each thing is done in a round.
    """

    def __init__(self, url: str, scale: int) -> None:
        self._url = url
        self._scale = scale
        self._round = 0
        self.operations: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()

    async def round(self) -> None:
        """Everything once; actors are given the time to fall asleep afterwards."""
        self._round += 1
        async with (
            Client(self._url, encoding=("json", "cbor", "bare")[self._round % 3]) as client,
            httpx.AsyncClient(base_url=self._url) as http,
        ):
            await self._calls(client)
            await self._sockets(client)
            await self._raw(client, http)
            await self._comers_and_goers(client, http)
            await self._inspectors(client, http)
            await self._hostile(client, http)
        await asyncio.sleep(45)

    async def _all(self, kind: str, work: list[Awaitable[Any]], *, wrong: bool = False) -> list[Any]:
        self.operations[kind] += len(work)
        found = await asyncio.gather(*work, return_exceptions=True)
        for one in found:
            if isinstance(one, BaseException):
                self.errors[f"{kind}: {type(one).__name__} {getattr(one, 'code', '')}"] += 1
                if not wrong and not isinstance(one, (ActorError, HttpFailureError, httpx.HTTPError)):
                    raise one
        return found

    async def _calls(self, client: Client) -> None:
        for name in ("busy", "kept"):
            for key in "abc":
                actor = client.get_or_create(name, [key])
                await self._all("action", [actor.add(1) for _ in range(self._scale)])
                await self._all("kv", [actor.keep(number) for number in range(self._scale // 2)])
                await self._all("queue", [actor.send("jobs", {"text": "x" * 200}) for _ in range(self._scale // 2)])
                await self._all("queue", [actor.take()])
                await self._all("queue, waited for", [actor.send("asks", number, wait=True, timeout=5.0) for number in range(4)])
                await self._all("schedule", [actor.plan(), actor.plan()])
                await self._all("abort signal", [actor.listen() for _ in range(4)])
                await self._all("error", [actor.fail(f"no {self._round}"), actor.burst("x" * 50), actor.nothing()], wrong=True)
                if name == "kept":
                    first = self._round * 1000
                    await self._all("database", [actor.insert(first + number) for number in range(self._scale // 2)])
                    await self._all("error", [actor.wrong()], wrong=True)

    async def _sockets(self, client: Client) -> None:
        for key in "ab":
            connections = [client.get_or_create("busy", [key]).connect({"n": number}) for number in range(3)]
            heard: list[Any] = []
            for connection in connections:
                connection.on("added", heard.append)
            await self._all("action over a socket", [connection.add(1) for connection in connections for _ in range(self._scale)])
            # Most of the operations, because they cost least.
            await self._all("action over a socket", [connection.read() for connection in connections for _ in range(14 * self._scale)])
            await self._all("error", [connection.fail("over a socket") for connection in connections], wrong=True)
            # One sleeps over its actor's sleep; the others go at once.
            for connection in connections[1:]:
                await connection.dispose()
            await asyncio.sleep(40)
            await self._all("action over a socket", [connections[0].add(1)])
            await connections[0].dispose()

    async def _raw(self, client: Client, http: httpx.AsyncClient) -> None:
        actor = client.get_or_create("busy", ["raw"])
        await self._all("raw request", [actor.fetch(f"/some/{number}") for number in range(self._scale // 2)])

        async def echo() -> None:
            socket = await actor.web_socket("/echo")
            for _ in range(5):
                await socket.send("hello")
                await socket.recv()
            await socket.close()

        await self._all("raw socket", [echo() for _ in range(3)])

    async def _comers_and_goers(self, client: Client, http: httpx.AsyncClient) -> None:
        for name in ("busy", "kept"):
            actors = [client.get_or_create(name, [f"{self._round}-{number}"]) for number in range(self._scale // 4)]
            await self._all("creation", [actor.add(1) for actor in actors])
            await self._all("destroy", [actor.leave() for actor in actors])
        orders = [client.get_or_create("steps", [f"{self._round}-{number}"]) for number in range(3)]
        await self._all("workflow", [order.done() for order in orders])
        await asyncio.sleep(70)
        assert await asyncio.gather(*(order.done() for order in orders)) == [3, 3, 3]
        await self._all("destroy", [self._delete(http, await order.resolve()) for order in orders])
        strange = {"name": f"strange-{self._round}", "key": "k", "runner_name_selector": "default", "crash_policy": "sleep"}
        made = await http.put("/actors", params={"namespace": "default"}, json=strange, headers=ADMIN)
        await self._all("creation", [self._delete(http, made.json()["actor"]["actor_id"])])

    async def _delete(self, http: httpx.AsyncClient, actor_id: str) -> None:
        answer = await http.delete(f"/actors/{actor_id}", params={"namespace": "default"}, headers=ADMIN)
        assert answer.status_code == 200, answer.text

    async def _inspectors(self, client: Client, http: httpx.AsyncClient) -> None:
        actor_id = await client.get_or_create("kept", ["a"]).resolve()
        token = (await http.get(f"/actors/{actor_id}/kv/keys/{TOKEN_KEY}", params={"namespace": "default"}, headers=ADMIN)).json()
        token = base64.b64decode(token["value"]).decode()
        headers = {**ADMIN, "authorization": f"Bearer {token}"}
        pages = [
            f"/gateway/{actor_id}/inspector/{page}" for page in ("summary", "state", "connections", "queue", "rpcs", "metrics", "nothing")
        ]
        others = [
            "/metadata",
            "/health",
            "/metrics",
            "/actors?namespace=default&name=busy",
            "/actors/names?namespace=default",
            "/namespaces",
            "/no",
        ]
        await self._all("inspector", [http.get(page, headers=headers) for page in pages])
        await self._all("management", [http.get(page, headers=ADMIN) for page in others])

    async def _hostile(self, client: Client, http: httpx.AsyncClient) -> None:
        actor_id = await client.get_or_create("busy", ["a"]).resolve()
        post = [
            http.post(f"/gateway/{actor_id}/action/add", content=body, headers={"x-rivet-encoding": encoding})
            for body in HOSTILE
            for encoding in ("cbor", "bare", "json", "odd")
        ]
        await self._all("hostile request", post, wrong=True)
        names = [f"/gateway/strange-{self._round}-{number}/action/x" for number in range(4)]
        await self._all("hostile request", [http.post(name, content=b"x") for name in names], wrong=True)
        await self._all(
            "hostile bytes", [self._bytes(data) for data in (b"\x16\x03\x01", b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 70_000)]
        )

        async def babble(data: str | bytes) -> None:
            with contextlib.suppress(Exception):
                socket = await client.get_or_create("busy", ["a"]).web_socket("/connect")
                try:
                    await socket.send(data)
                    await socket.recv()
                finally:
                    await socket.close()

        await self._all("hostile socket", [babble(data) for data in ("{", b"\x00\xff", "[" * 2000)], wrong=True)

    async def _bytes(self, data: bytes) -> None:
        host, _, port = self._url.rpartition("//")[2].partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(data)
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(30):
                writer.write_eof()
                await reader.read()
        writer.close()


TOKEN_KEY = "Aw=="


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Records are made and not written: what is hostile is noted, and to write it would take longer than to bring it about."""

    def drop(*_: object) -> None:
        raise structlog.DropEvent

    processors = structlog.get_config()["processors"]
    # In place, as loggers that were made before have the list itself.
    before, processors[:] = processors[:], [drop]
    # pytest would keep what the server below says of strangers.
    logging.disable()
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        processors[:] = before


async def live(directory: Path, *, parts: int, rounds: int, scale: int, length: float) -> tuple[MixedLife, list[Reading]]:
    """Live through `parts` equal parts of so many rounds and `length` seconds each, with a reading after each."""
    app = create_app(
        Registry(Busy, Kept, Steps), storage=SQLiteStorage(directory), options=HostOptions(rate_limits=NO_RATE_LIMITS, admin_token="admin")
    )
    readings = []
    async with InProcessServer(app, limits=VIRTUAL_TIME) as server:
        life = MixedLife(server.url, scale)
        loop = asyncio.get_running_loop()
        began = loop.time()
        for part in range(1, parts + 1):
            for one in range(rounds):
                # Never late: what falls into a part is the same in each.
                await asyncio.sleep(max(0.0, began + (part - 1) * length + one * length / rounds - loop.time()))
                await life.round()
            # Long after the last round and off the times of schedules: everybody sleeps.
            await asyncio.sleep(max(0.0, began + part * length - 5 - loop.time()))
            readings.append(reading(directory))
            # The first and the last are compared.
            if part > 2:
                readings[-2].types = Counter()
    return life, readings
