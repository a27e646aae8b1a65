"""Starts, stops and ends of generations on the engine's orders, with generations that do what the test says."""

import asyncio

import pytest

from runtime.errors import make_error
from runtime.hosting.engine import generations as module
from runtime.hosting.engine.generations import Generations
from runtime.hosting.engine.protocol.lives import ParkedRequest, Reason
from tests.runtime.hosting.engine.fake_home import FakeHome, FakeTask, order, settled
from tests.runtime.hosting.virtual import run_virtual


@pytest.fixture
def home(monkeypatch):
    monkeypatch.setattr(module, "ActorTask", FakeTask)
    return FakeHome()


async def running(home, number=1):
    table = Generations(home)
    table.start(("a", number), order())
    await settled()
    return table


async def test_a_start_is_answered_by_running(home):
    table = await running(home)
    assert home.done == [("Running", "a", 1)]
    assert table.newest("a").live.task is home.tasks["a", 1]


async def test_sockets_that_gateways_keep_are_restored_before_the_actor_starts(home):
    seen = []
    home.starting = lambda task: seen.append(list(home.restored)) or asyncio.sleep(0)
    table = Generations(home)
    parked = (ParkedRequest(b"gate", b"rqst"),)
    table.start(("a", 1), order(parked=parked))
    await settled()
    assert seen == [[(("a", 1), parked)]]


@pytest.mark.parametrize("name", ["thing", "nobody"])
async def test_a_failed_start_is_answered_by_why(home, name):
    async def fail(task):
        raise ValueError("no such luck")

    home.starting = fail
    table = Generations(home)
    table.start(("a", 1), order(name))
    await settled()
    last = home.of(1)[-1]
    assert last.startswith("Failed: no such luck" if name == "thing" else "Failed: ")
    assert home.of(1)[:-1] == ["ended"]
    assert len(table) == 0 and table.newest("a") is None


async def test_the_text_of_a_crash_is_bounded(home):
    async def fail(task):
        raise ValueError("x" * 5000)

    home.starting = fail
    table = Generations(home)
    table.start(("a", 1), order())
    await settled()
    assert len(home.of(1)[-1]) < 2100


@pytest.mark.parametrize("reason", [Reason.SLEEP_INTENT, Reason.STOP_INTENT, Reason.DESTROY, Reason.GOING_AWAY])
async def test_an_ordered_stop_releases_everything_and_is_reported_last(home, reason):
    table = await running(home)
    table.stop(("a", 1), reason)
    table.stop(("a", 1), reason)  # ENGINE-083
    await settled()
    assert home.tasks["a", 1].stops == [reason.value]
    assert home.of(1) == ["Running", "ended", "Stopped"]
    assert len(table) == 0


async def test_a_stop_that_fails_is_an_error(home):
    async def fail(task):
        raise OSError("disk gone")

    home.stopping = fail
    table = await running(home)
    table.stop(("a", 1), Reason.SLEEP_INTENT)
    await settled()
    assert home.of(1)[-1] == "Failed: disk gone"


async def test_a_stop_as_lost_is_an_error_whatever_happened(home):
    table = await running(home)
    table.stop(("a", 1), Reason.LOST)
    await settled()
    assert home.of(1)[-1] == "Failed: actor lost"


async def test_a_stop_of_an_unknown_generation_does_nothing(home):
    table = await running(home)
    table.stop(("a", 2), Reason.DESTROY)
    table.stop(("b", 1), Reason.DESTROY)
    await settled()
    assert home.done == [("Running", "a", 1)]


async def test_a_stop_during_the_start_is_carried_out_after_running(home):
    go = asyncio.Event()
    home.starting = lambda _: go.wait()
    table = await running(home)
    table.stop(("a", 1), Reason.SLEEP_INTENT)
    table.stop(("a", 1), Reason.DESTROY)  # takes the place of the sleep
    table.stop(("a", 1), Reason.GOING_AWAY)
    await settled()
    assert home.done == []
    go.set()
    await settled()
    assert home.of(1) == ["Running", "ended", "Stopped"]
    assert home.tasks["a", 1].stops == ["destroy"]


async def test_intents_go_out_and_nothing_stops_before_the_engine_says_so(home):
    table = await running(home)
    table.ask_sleep(("a", 1))
    table.ask_sleep(("a", 1))
    await settled()
    assert home.of(1) == ["Running", "SleepIntent"]
    assert home.tasks["a", 1].stops == []


async def test_intents_of_a_starting_generation_are_held_until_it_runs(home):
    async def start(task):
        table.ask_destroy(("a", 1))
        await asyncio.sleep(0)

    home.starting = start
    table = Generations(home)
    table.start(("a", 1), order())
    await settled()
    assert home.of(1) == ["Running", "StopIntent"]


async def test_intents_of_what_is_over_are_nothing(home):
    table = await running(home)
    table.ask_destroy(("a", 7))
    table.ask_sleep(("b", 1))
    assert home.done == [("Running", "a", 1)]


async def test_a_destroy_after_the_wish_to_sleep_takes_another_way(home):
    table = await running(home)
    table.ask_sleep(("a", 1))
    table.ask_destroy(("a", 1))
    table.ask_destroy(("a", 1))
    await settled()
    assert home.of(1) == ["Running", "SleepIntent"] and home.destroys == ["a"]


async def test_the_end_of_a_sleep_waits_until_the_engine_knows_of_the_destroy(home):
    go = asyncio.Event()
    home.stopping = lambda _: go.wait()
    table = await running(home)
    table.stop(("a", 1), Reason.SLEEP_INTENT)
    await settled()
    table.ask_destroy(("a", 1))
    go.set()
    await settled()
    assert home.destroys == ["a"] and "Stopped" not in home.of(1)
    table.stop(("a", 1), Reason.DESTROY)
    await settled()
    assert home.of(1)[-1] == "Stopped"
    home.destroyed.set()


def test_an_engine_that_does_not_answer_the_destroy_holds_nobody_up(home):
    async def scenario():
        table = await running(home)
        table.stop(("a", 1), Reason.SLEEP_INTENT)
        table.ask_destroy(("a", 1))
        await asyncio.sleep(module.DESTROY_AHEAD + 0.1)
        assert home.of(1)[-1] == "Stopped"
        await table.close()

    run_virtual(scenario())


async def test_a_destroy_that_cannot_be_asked_for_leaves_a_sleep(home):
    async def refuse(actor_id):
        raise make_error("core.internal_error")

    home.destroy_actor = refuse
    table = await running(home)
    table.stop(("a", 1), Reason.SLEEP_INTENT)
    table.ask_destroy(("a", 1))
    await settled()
    assert home.of(1)[-1] == "Stopped"


async def test_a_destroy_that_is_under_way_is_asked_for_nowhere(home):
    go = asyncio.Event()
    home.stopping = lambda _: go.wait()
    table = await running(home)
    table.stop(("a", 1), Reason.DESTROY)
    table.ask_destroy(("a", 1))
    go.set()
    await settled()
    assert home.destroys == []


async def test_a_generation_that_cannot_go_on_is_reported_as_crashed(home):
    table = await running(home)
    home.tasks["a", 1].on_ended(RuntimeError("run handler gave up"))
    await settled()
    assert home.tasks["a", 1].stops == ["lost"]
    assert home.of(1)[-1] == "Failed: run handler gave up"
    assert len(table) == 0


async def test_a_generation_that_just_ended_is_no_ordered_stop(home):
    await running(home)
    home.tasks["a", 1].on_ended(None)
    await settled()
    assert home.of(1)[-1] == "Failed: actor ended"


async def test_a_generation_whose_writes_the_engine_refuses_is_an_error(home):
    await running(home)
    home.dead["a", 1](OSError("another generation writes"))
    await settled()
    assert home.of(1)[-1] == "Failed: another generation writes"


async def test_what_goes_wrong_during_the_start_ends_the_generation_behind_it(home):
    async def start(task):
        task.on_ended(RuntimeError("gone at once"))

    home.starting = start
    await running(home)
    assert home.of(1) == ["Running", "ended", "Failed: gone at once"]


async def test_a_sleep_whose_generation_is_given_up_meanwhile_is_an_error(home):
    go = asyncio.Event()
    home.stopping = lambda _: go.wait()
    table = await running(home)
    table.stop(("a", 1), Reason.SLEEP_INTENT)
    table.stop(("a", 1), Reason.LOST)
    go.set()
    await settled()
    assert home.of(1)[-1] == "Failed: actor lost"


async def test_generations_of_one_actor_overlap_and_the_newest_is_reached(home):
    go = asyncio.Event()
    home.stopping = lambda _: go.wait()
    table = await running(home)
    table.stop(("a", 1), Reason.GOING_AWAY)
    table.start(("a", 2), order())
    await settled()
    assert len(table) == 2 and table.newest("a").life == ("a", 2)
    table.ask_sleep(("a", 2))
    go.set()
    await settled()
    assert home.of(1)[-1] == "Stopped" and home.of(2) == ["Running", "SleepIntent"]
    assert table.newest("a").life == ("a", 2)


async def test_a_start_that_came_already_is_not_repeated(home):
    table = await running(home)
    task = home.tasks["a", 1]
    table.start(("a", 1), order())
    await settled()
    assert home.tasks["a", 1] is task and home.of(1) == ["Running"]


async def test_the_loss_of_the_engine_stops_everything_with_an_error(home):
    go = asyncio.Event()
    table = await running(home)
    home.starting = lambda _: go.wait()
    table.start(("b", 1), order())
    await settled()
    table.lose("no engine")
    go.set()
    await settled()
    assert home.of(1)[-1] == "Failed: no engine"
    assert home.of(1, "b") == ["Running", "ended", "Failed: no engine"]


async def test_nothing_is_reported_once_another_process_took_this_place(home):
    table = await running(home)
    table.lose("evicted", silent=True)
    await settled()
    assert home.tasks["a", 1].stops == ["lost"]
    assert home.of(1) == ["Running", "ended"]


def test_a_drain_waits_for_the_engine_and_then_for_nobody(home):
    async def scenario():
        table = await running(home)
        table.start(("b", 1), order())
        table.stop(("b", 1), Reason.GOING_AWAY)
        assert not await table.drained(1)
        assert home.of(1, "b")[-1] == "Stopped" and home.of(1) == ["Running"]
        await table.close()
        assert home.of(1)[-1] == "Failed: the envoy has shut down"
        assert await table.drained(0)

    run_virtual(scenario())


def test_a_close_leaves_no_start_behind(home):
    async def scenario():
        home.starting = lambda _: asyncio.Event().wait()
        table = await running(home)
        await table.close()
        assert home.of(1)[-2:] == ["ended", "Failed: CancelledError"]
        assert len(table) == 0

    run_virtual(scenario())
