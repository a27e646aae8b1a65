"""Suite overload: bounded inboxes answer at once, recover, and lose nothing (fixture overloadActor of this project)."""

from __future__ import annotations

import asyncio

from client import ActorError
from harness import capability, requirement, suite

pytestmark = suite("overload")

CAPACITY = 4
BURST = 60


def split(results):
    """Accepted results, and the errors of the rest."""
    return [r for r in results if not isinstance(r, BaseException)], [r for r in results if isinstance(r, BaseException)]


async def burst(conn, count=BURST):
    """Pipeline `count` numbered calls on one connection in one turn."""
    return await asyncio.gather(*(conn.action("accept", number) for number in range(count)), return_exceptions=True)


@requirement("TASK-001", "TASK-002", "TASK-003", "WIRE-840", "CONN-087", "WIRE-841")
@capability("overload")
async def test_burst_is_refused_with_the_exact_error(conform):
    """A burst over the capacity gets actor.overloaded with channel, capacity and operation."""
    async with conform.connected(conform.get_or_create("overloadActor")) as conn:
        accepted, refused = split(await burst(conn))
        assert accepted
        assert refused
        for error in refused:
            assert isinstance(error, ActorError)
            assert (error.group, error.code) == ("actor", "overloaded")
            assert error.metadata == {"channel": "dispatch_inbox", "capacity": CAPACITY, "operation": "dispatch_action"}
            assert error.message == "Actor channel 'dispatch_inbox' is overloaded while attempting to dispatch_action (capacity 4)."


@requirement("TASK-005")
@capability("overload")
async def test_accepted_work_is_done_exactly_once(conform):
    """Every accepted call ran once, every refused one not at all."""
    actor = conform.get_or_create("overloadActor")
    async with conform.connected(actor) as conn:
        results = await burst(conn)
    ran = [number for number, result in enumerate(results) if not isinstance(result, BaseException)]
    report = await actor.action("getAccepted")
    assert report["accepted"] == len(ran)
    assert sorted(report["ids"]) == ran


@requirement("TASK-005")
@capability("overload")
async def test_actor_recovers_after_the_burst(conform):
    """As soon as there is room the next call succeeds; the connection was never closed."""
    async with conform.connected(conform.get_or_create("overloadActor")) as conn:
        _, refused = split(await burst(conn))
        assert refused
        for number in range(10):
            await conn.action("accept", f"later-{number}")
        assert conn.status == "connected"


@requirement("TASK-005")
@capability("overload")
async def test_accepted_work_keeps_its_order(conform):
    """What was accepted on one connection ran in the order it was sent."""
    actor = conform.get_or_create("overloadActor")
    async with conform.connected(actor) as conn:
        await burst(conn)
    ids = (await actor.action("getAccepted"))["ids"]
    assert ids == sorted(ids)


@requirement("TASK-004", "CONN-087")
@capability("overload")
async def test_overload_over_http(conform):
    """Parallel HTTP calls over the capacity are refused at once with status 500, or served; none hangs."""
    actor = conform.get_or_create("overloadActor")
    await actor.action("getAccepted")
    responses = await asyncio.gather(*(conform.post_action(actor, "accept", number) for number in range(BURST)))
    assert {response.status_code for response in responses} <= {200, 500}
    served = sum(response.status_code == 200 for response in responses)
    assert (await actor.action("getAccepted"))["accepted"] == served


@requirement("TASK-005")
@capability("overload")
async def test_other_actors_are_served_during_the_burst(conform):
    """A burst at one actor does not refuse calls of another."""
    other = conform.get_or_create("counter", conform.unique_key())
    await other.action("getCount")
    async with conform.connected(conform.get_or_create("overloadActor")) as conn, conform.connected(other) as calm:
        bursting = conform.spawn(burst(conn))
        results = [await calm.action("increment", 1) for _ in range(10)]
        await bursting
    assert results == list(range(1, 11))


@requirement("QUEUE-068", "WIRE-931")
@capability("overload")
async def test_queue_sends_are_retried_by_the_client(conform):
    """Queue sends that meet a full inbox are retried and all arrive exactly once."""
    handles = [conform.get_or_create("overloadActor") for _ in range(30)]
    await handles[0].action("getAccepted")
    await asyncio.gather(*(handle.send("work", number) for number, handle in enumerate(handles)))
    assert sorted(await handles[0].action("drainWork")) == list(range(30))


@requirement("TASK-020", "TASK-001")
@capability("overload")
async def test_running_actions_do_not_fill_the_inbox(conform):
    """The inbox bounds what waits, not what runs: more actions than its capacity may be in progress."""
    actor = conform.get_or_create("overloadActor")
    async with conform.connected(actor) as conn:
        held = []
        for _ in range(3 * CAPACITY):
            held.append(conform.spawn(conn.action("hold", 300)))
            await conn.action("getAccepted")
        assert await asyncio.gather(*held) == ["held"] * (3 * CAPACITY)
