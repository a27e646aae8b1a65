"""Suite overload: bounded inboxes answer at once, recover, and lose nothing (fixture overloadActor of this project)."""

from __future__ import annotations

import asyncio

from client import ActorError
from harness import capability, inconclusive, requirement, suite
from harness.codec.bodies import encode_action_request, encode_queue_request
from harness.codec.messages import QueueSend
from harness.frames import decoded

pytestmark = suite("overload")

CAPACITY = 4
BURST = 60
ATTEMPTS = 10
"""Bursts that may arrive in pieces before it is unknown what a full inbox does."""


def split(results):
    """Accepted results, and the errors of the rest."""
    return [r for r in results if not isinstance(r, BaseException)], [r for r in results if isinstance(r, BaseException)]


async def overflowing(conn):
    """The results of the first burst of which something was refused."""
    for _ in range(ATTEMPTS):
        results = await burst(conn)
        if split(results)[1]:
            return results
    return inconclusive(f"no burst of {BURST} found the inbox full")


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
    """Of a burst of which some was refused every accepted call ran once, every refused one not at all."""
    actor = conform.get_or_create("overloadActor")
    ran = []
    async with conform.connected(actor) as conn:
        while True:
            results = await burst(conn)
            ran += [number for number, result in enumerate(results) if not isinstance(result, BaseException)]
            if split(results)[1] or len(ran) > ATTEMPTS * BURST:
                break
    accepted, refused = split(results)
    if not refused:
        inconclusive("no burst found the inbox full")
    assert accepted
    report = await actor.action("getAccepted")
    assert report == {"accepted": len(ran), "ids": ran}


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
    """What was accepted on one connection, beside what was refused, ran in the order it was sent."""
    actor = conform.get_or_create("overloadActor")
    async with conform.connected(actor) as conn:
        results = await overflowing(conn)
    accepted = [number for number, result in enumerate(results) if not isinstance(result, BaseException)]
    assert accepted
    assert (await actor.action("getAccepted"))["ids"][-len(accepted) :] == accepted


@requirement("TASK-004", "CONN-087")
@capability("overload")
async def test_overload_over_http(conform):
    """HTTP calls that arrive at once are served, or refused with status 500 and the error; what was refused never ran."""
    actor = conform.get_or_create("overloadActor")
    await actor.action("getAccepted")
    served = refused = 0
    for _ in range(ATTEMPTS):
        calls = [("/action/accept", encode_action_request([number], conform.encoding)) for number in range(BURST)]
        for response, _ in await conform.volley(actor, calls):
            served += response.status_code == 200
            if response.status_code != 200:
                refused += 1
                error = decoded(response)
                assert (response.status_code, error.group, error.code) == (500, "actor", "overloaded")
        if refused:
            break
    if not refused:
        inconclusive("no burst found the inbox full")
    assert served >= CAPACITY
    assert (await actor.action("getAccepted"))["accepted"] == served


@requirement("TASK-005")
@capability("overload")
async def test_other_actors_are_served_during_the_burst(conform):
    """A burst at one actor does not refuse calls of another."""
    other = conform.get_or_create("counter", conform.unique_key())
    await other.action("getCount")
    async with conform.connected(conform.get_or_create("overloadActor")) as conn, conform.connected(other) as calm:
        bursting = conform.spawn(overflowing(conn))
        results = [await calm.action("increment", 1) for _ in range(10)]
        _, refused = split(await bursting)
    assert refused
    assert results == list(range(1, 11))


@requirement("QUEUE-068", "CONN-087")
@capability("overload")
async def test_queue_sends_are_retried_by_the_client(conform):
    """While bursts find the inbox full, queue sends of a client all arrive exactly once, and of a burst what was not refused."""
    handles = [conform.get_or_create("overloadActor") for _ in range(30)]
    await handles[0].action("getAccepted")
    filler = [("/queue/work", encode_queue_request(QueueSend("filler"), conform.encoding))] * BURST
    filling = conform.spawn(conform.volley(handles[0], filler))
    await asyncio.gather(*(handle.send("work", number) for number, handle in enumerate(handles)))
    answers = [response.status_code for response, _ in await filling]
    if 500 not in answers:
        inconclusive("the burst did not find the inbox full")
    assert set(answers) == {200, 500}
    arrived = await handles[0].action("drainWork")
    assert sorted(body for body in arrived if body != "filler") == list(range(30))
    assert arrived.count("filler") == answers.count(200)


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
