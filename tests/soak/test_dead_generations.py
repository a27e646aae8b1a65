"""Of a generation that ended nothing is alive: neither its task nor its state, whatever hooks it had."""

from __future__ import annotations

import asyncio
import gc
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, insert, select

from harness.session.virtual_loop import VirtualLoop
from runtime import Actor, HostOptions, MemoryStorage, Options, Registry, SQLiteStorage, sqlalchemy_database
from runtime.actor.lifecycle.task import ActorTask
from runtime.hosting.standalone.host import StandaloneHost
from runtime.hosting.standalone.slot import SlotState
from runtime.workflow import workflow
from tests.soak.mixed_life import Busy, Kept, silent

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.storage.base import Storage
    from tests.soak import Record


NAMES = ("everything", "busy", "mapped")
METADATA = MetaData()
WORDS = Table("words", METADATA, Column("id", Integer, primary_key=True), Column("word", Text))


class Everything(Kept):
    """Every hook, a database and a workflow that waits for a message."""

    name = "everything"
    options = Options(sleep_timeout=600.0)

    @workflow
    async def run(self, ctx):
        async def count(step):
            step.state.n += 1

        await ctx.step("count", count)
        await ctx.queue.next("wait", names=["jobs"])

    @run.on_error
    async def failed(self, c, event):
        raise AssertionError(event)


class Mapped(Actor):
    """Statements of SQLAlchemy in hooks, a state of a class that a hook declares, and a run handler that waits."""

    name = "mapped"
    options = Options(sleep_timeout=600.0)
    database = sqlalchemy_database(metadata=METADATA)

    def create_state(self, c, given):
        return {"n": 0}

    def create_vars(self, c, driver):
        @dataclass
        class Vars:
            n: int = 0

            def who(self):
                return c

        return Vars()

    async def on_wake(self, c):
        await c.db.query(insert(WORDS).values(word="x"))
        await c.db.session(lambda session: session.execute(select(WORDS)).all())
        c.state.n = len(await c.db.query(select(WORDS)))
        signal = c.abort_signal
        signal.add_listener(lambda: c.state.n)

    async def run(self, c):
        await c.abort_signal.wait()


async def wakes(storage: Storage, times: int) -> tuple[int, list[int]]:
    """Wake and put to sleep so often; how many generations were seen, and how many are alive at times."""
    host = StandaloneHost(Registry(Everything, Busy, Mapped), storage, HostOptions())
    await host.open()
    slots = [await host.create(host.namespaces.require("default"), name, "a", "default", None) for name in NAMES]
    seen: weakref.WeakSet[ActorTask] = weakref.WeakSet()
    # What other tests of this process left is not of this one.
    others = weakref.WeakSet(one for one in gc.get_objects() if isinstance(one, ActorTask))
    count, alive = 0, []
    for time in range(times):
        for slot in slots:
            task = await host.ready(slot.actor_id)
            seen.add(task)
            count += 1
            del task
            host.sleep(slot)
            while slot.state is not SlotState.ASLEEP:
                await slot.next_event()
        if time in (times // 2, times - 1):
            gc.collect()
            alive.append(len(seen))
            assert sum(isinstance(one, ActorTask) and one not in others for one in gc.get_objects()) == len(seen)
    await host.close()
    return count, alive


@pytest.mark.parametrize("times", [20, pytest.param(1000, marks=[pytest.mark.soak, pytest.mark.timeout(600)])])
@pytest.mark.parametrize("kind", ["memory", "files"])
def test_nothing_of_a_generation_outlives_it(tmp_path: Path, kind: str, times: int, record_property: Record) -> None:
    storage = MemoryStorage() if kind == "memory" else SQLiteStorage(tmp_path)
    with silent(), asyncio.Runner(loop_factory=VirtualLoop) as runner:
        count, alive = runner.run(wakes(storage, times))
    record_property("figures", f"{count} generations of {len(NAMES)} actors, alive at half time and at the end after collection: {alive}")
    assert (count, alive) == (len(NAMES) * times, [0, 0])
