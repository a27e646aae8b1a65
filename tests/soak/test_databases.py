"""Awake actors with a database each: a few in every run of the tests, ten thousand in the soak."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from runtime import NO_RATE_LIMITS, Actor, Context, HostOptions, Registry
from runtime.actor.database.provider import raw_database
from runtime.declaration.options import Options
from runtime.hosting.standalone.host import StandaloneHost
from runtime.hosting.standalone.slot import SlotState
from runtime.storage.sqlite import SQLiteStorage
from tests.serving.memory import resident
from tests.soak.mixed_life import silent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

    from runtime.hosting.standalone.slot import ActorSlot
    from tests.soak import Record

T = TypeVar("T")

AT_ONCE = 64
OTHER_FILES = 40
"""Of the process itself, and of `runtime.sqlite3` with its readers."""


class Noting(Actor):
    """Writes a row with each wake."""

    name = "noting"
    database = raw_database(on_migrate=lambda db: db.execute("CREATE TABLE IF NOT EXISTS wakes (id INTEGER PRIMARY KEY)"))
    options = Options(sleep_timeout=100_000)

    async def on_wake(self, c: Context) -> None:
        await c.db.execute("INSERT INTO wakes DEFAULT VALUES")


class Watch:
    """The most threads and files there were, looked at all the time."""

    def __init__(self, host: StandaloneHost) -> None:
        self._host = host
        self.threads = self.files = 0
        self._before = len(list(Path("/proc/self/fd").iterdir()))

    def look(self) -> None:
        self.threads = max(self.threads, self._host.databases.threads.threads)
        self.files = max(self.files, len(list(Path("/proc/self/fd").iterdir())) - self._before)

    async def all(self, items: Iterable[T], each: Callable[[T], Awaitable[object]]) -> float:
        """Do something with each, some at once; the seconds that one took."""
        todo, began, done = iter(items), time.monotonic(), 0

        async def some() -> None:
            nonlocal done
            for item in todo:
                await each(item)
                done += 1
                if done % 50 == 0:
                    self.look()

        await asyncio.gather(*(some() for _ in range(AT_ONCE)))
        self.look()
        return (time.monotonic() - began) / done


@pytest.fixture
def quiet() -> Iterator[None]:
    """Nothing is logged: ten thousand lines, some with a traceback, take longer than what they tell of."""
    with silent():
        yield


@pytest.mark.parametrize(
    ("actors", "threads", "files"), [(30, 2, 30), pytest.param(10_000, 32, 3000, marks=[pytest.mark.soak, pytest.mark.timeout(1200)])]
)
@pytest.mark.usefixtures("quiet")
async def test_awake_actors_share_threads_and_files(tmp_path: Path, actors: int, threads: int, files: int, record_property: Record) -> None:
    """Each writes, sleeps and wakes, and at the end of each all are awake (DB-300, DB-305)."""
    options = HostOptions(rate_limits=NO_RATE_LIMITS, database_threads=threads, database_files=files)
    host = StandaloneHost(Registry(Noting), SQLiteStorage(tmp_path), options)
    watch = Watch(host)
    await host.open()
    home, before = await host.namespaces.ensure("default"), resident()
    slots: list[ActorSlot] = []

    async def create(number: int) -> None:
        slot, _ = await host.get_or_create(home, "noting", str(number), "default")
        await host.ready(slot.actor_id)
        slots.append(slot)

    async def sleep(slot: ActorSlot) -> None:
        host.sleep(slot)
        while slot.state is not SlotState.ASLEEP:
            await slot.next_event()

    async def read(slot: ActorSlot, expected: int) -> None:
        assert slot.task is not None
        rows = await slot.task.database.client.execute("SELECT count(*) AS wakes, last_insert_rowid() AS last FROM wakes")
        assert rows == [{"wakes": expected, "last": expected}]

    started = await watch.all(range(actors), create)
    assert all(slot.state is SlotState.RUNNING for slot in slots)
    memory = (resident() - before) / 2**20 / actors
    asked = await watch.all(slots, lambda slot: read(slot, 1))
    slept = await watch.all(slots, sleep)
    assert host.databases.files.count == 0
    woken = await watch.all(slots, lambda slot: host.ready(slot.actor_id))
    await watch.all(slots, lambda slot: read(slot, 2))
    assert all(slot.state is SlotState.RUNNING for slot in slots)
    assert watch.threads <= threads + 1
    assert host.databases.files.closed >= actors - files // 3
    assert watch.files <= files + OTHER_FILES
    began = time.monotonic()
    await host.close()
    assert host.databases.threads.threads == host.databases.files.count == 0
    record_property(
        "figures",
        f"{actors} actors awake: {watch.threads} threads, {watch.files} files, {memory * 1024:.0f} KiB each; "
        f"creation {started * 1000:.1f} ms, statement after another was opened {asked * 1000:.1f} ms, sleep {slept * 1000:.1f} ms, "
        f"wake {woken * 1000:.1f} ms, stop of all {time.monotonic() - began:.1f} s",
    )
