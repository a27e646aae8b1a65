"""Which generation a tunnelled request gets, and what it is told when there is none."""

import asyncio

import pytest

from runtime.errors import ActorError, make_error
from runtime.gateway.live_actor import Live
from runtime.hosting.engine import generations as module
from runtime.hosting.engine.generations import Generations
from runtime.hosting.engine.ports import TryAgainError
from runtime.hosting.engine.protocol.lives import Reason
from runtime.hosting.engine.reach import LATELY, EngineReach, Lately
from tests.runtime.hosting.engine.fake_home import FakeHome, FakeTask, order, settled
from tests.runtime.hosting.virtual import run_virtual


@pytest.fixture
def home(monkeypatch):
    monkeypatch.setattr(module, "ActorTask", FakeTask)
    return FakeHome()


@pytest.fixture
def lately():
    return Lately()


@pytest.fixture
def table(home, lately):
    return Generations(home, lately.add)


@pytest.fixture
def reach(table, lately):
    return EngineReach(table, lately)


async def started(table, number=1):
    table.start(("a", number), order())
    await settled()


async def test_the_newest_generation_is_given_with_its_headers(home, table, reach):
    await started(table, 2)
    live = await reach.live("a")
    assert live.task is home.tasks["a", 2]
    assert (b"x-rivet-actor-generation", b"2") in live.headers


async def test_a_stranger_is_not_found(reach):
    with pytest.raises(ActorError, match="not found") as raised:
        await reach.live("a")
    assert raised.value.name == "envoy.actor_not_found"


@pytest.mark.parametrize("reason", [Reason.SLEEP_INTENT, Reason.DESTROY])
async def test_who_lived_here_lately_may_live_elsewhere_unless_it_was_destroyed(table, reach, reason):
    await started(table)
    table.stop(("a", 1), reason)
    await settled()
    with pytest.raises(TryAgainError) as raised:
        await reach.live("a", skip_ready_wait=True)
    refusal = raised.value.refusal
    assert (refusal and refusal.name) == ("actor.destroying" if reason is Reason.DESTROY else None)


def test_lately_does_not_last_for_ever():
    async def scenario():
        lately = Lately()
        lately.add("a")
        await asyncio.sleep(LATELY - 1)
        assert lately.destroyed("a") is False
        await asyncio.sleep(2 * LATELY)
        assert lately.destroyed("a") is None

    run_virtual(scenario())


@pytest.mark.parametrize("reason", [Reason.SLEEP_INTENT, Reason.DESTROY])
async def test_a_generation_that_stops_sends_requests_on(home, table, reach, reason):
    go = asyncio.Event()
    home.stopping = lambda _: go.wait()
    await started(table)
    table.stop(("a", 1), reason)
    await settled()
    with pytest.raises(TryAgainError) as raised:
        await reach.live("a")
    # Whom nobody sends again hears that no other follows.
    assert (raised.value.refusal is not None) is (reason is Reason.DESTROY)
    assert (await reach.live("a", skip_ready_wait=True)).task is home.tasks["a", 1]
    go.set()
    await settled()


async def test_a_generation_that_starts_is_reached_only_by_who_asks_for_it(home, table, reach):
    go = asyncio.Event()
    home.starting = lambda _: go.wait()
    await started(table)
    with pytest.raises(TryAgainError):
        await reach.live("a")
    assert (await reach.live("a", skip_ready_wait=True)).task is home.tasks["a", 1]
    go.set()
    await settled()


async def test_a_refusal_for_good_is_the_actors_to_tell(home, table, reach):
    def refuse():
        raise make_error("actor.destroying")

    await started(table)
    home.tasks["a", 1].accepting = refuse
    assert (await reach.live("a")).task is home.tasks["a", 1]


async def test_who_was_refused_by_a_generation_does_not_get_it_again(home, table, reach):
    await started(table)
    with pytest.raises(TryAgainError):
        await reach.live("a", refused_by=Live(home.tasks["a", 1]))
