import asyncio
from types import SimpleNamespace

import pytest

from runtime.actor.schedule.cron import CronSpec
from runtime.actor.schedule.firing import Firing
from runtime.actor.schedule.records import Schedule
from runtime.errors import make_error
from tests.runtime.parts import Owner, StorageFailure

EVERY = CronSpec("every", interval_ms=5000)


class History:
    def __init__(self):
        self.kept = []

    async def started(self, item, scheduled_at, fired_at):
        self.kept.append(("started", item.id))
        return item.id

    async def skipped(self, item, scheduled_at, fired_at):
        self.kept.append(("skipped", item.id))

    async def finished(self, entry, error):
        self.kept.append((error.code if error else "ok", entry))


def build(run):
    owner, history, gone = Owner(actions=SimpleNamespace(run_scheduled=run)), History(), []

    async def action_is_gone(item):
        gone.append(item.id)

    return Firing(owner, history, action_is_gone), owner, history, gone


async def test_what_an_action_gets():
    calls = []

    async def run(name, args):
        calls.append((name, args))

    firing, owner, history, _ = build(run)
    firing.dispatch(Schedule("id", "remind", ["a"], 100), 100, 110)
    firing.dispatch(Schedule("tick", "tick", [], 100, EVERY), 100, 110)
    await owner.work.drained()
    assert calls == [
        ("remind", ["a", {"kind": "at", "id": "id", "scheduledAt": 100, "firedAt": 110}]),
        ("tick", [{"kind": "every", "id": "tick", "name": "tick", "scheduledAt": 100, "firedAt": 110}]),
    ]
    assert history.kept == [("started", "tick"), ("ok", "tick")]


async def test_a_run_that_goes_on_skips_the_next_of_its_name():
    release = asyncio.Event()

    async def run(name, args):
        await release.wait()

    firing, owner, history, _ = build(run)
    for name in ("a", "a", "b"):
        firing.dispatch(Schedule(name, "slow", [], 0, EVERY), 0, 0)
        await asyncio.sleep(0)
    release.set()
    await owner.work.drained()
    firing.dispatch(Schedule("a", "slow", [], 0, EVERY), 0, 0)
    await owner.work.drained()
    assert history.kept.count(("skipped", "a")) == 1
    assert history.kept.count(("started", "a")) == 2


@pytest.mark.parametrize(
    ("error", "code", "gone"),
    [(make_error("actor.action_not_found", name="x"), "action_not_found", ["tick"]), (ValueError(), "internal_error", [])],
)
async def test_a_failing_action_is_recorded_and_a_missing_one_ends_its_schedule(error, code, gone):
    async def run(name, args):
        raise error

    firing, owner, history, ended = build(run)
    firing.dispatch(Schedule("tick", "x", [], 0, EVERY), 0, 0)
    firing.dispatch(Schedule("id", "x", [], 0), 0, 0)
    await owner.work.drained()
    assert history.kept[-1] == (code, "tick")
    assert ended == gone
    assert [text for _, text, _ in owner.log.records] == ["scheduled event execution failed"] * 2


async def test_a_fire_that_cannot_be_recorded_runs_and_holds_up_none_after_it():
    calls = []

    async def run(name, args):
        calls.append(name)

    firing, owner, history, _ = build(run)
    recorded = history.started

    async def started(item, scheduled_at, fired_at):
        raise StorageFailure("no space left")

    history.started = started
    firing.dispatch(Schedule("tick", "tick", [], 100, EVERY), 100, 110)
    await owner.work.drained()
    history.started = recorded
    firing.dispatch(Schedule("tick", "tick", [], 200, EVERY), 200, 210)
    await owner.work.drained()
    assert calls == ["tick", "tick"]
    assert history.kept == [("started", "tick"), ("ok", "tick")]
