"""Suite overload-frames: what a full inbox answers, message by message: over connections, HTTP actions and queue sends."""

from __future__ import annotations

import pytest

from client import UNDEFINED
from harness import capability, inconclusive, requirement, suite
from harness.codec.bodies import encode_action_request, encode_queue_request
from harness.codec.messages import QueueSend
from harness.frames import decoded
from harness.testing.codecs import ActionResponse, ErrorFrame

pytestmark = suite("overload-frames")

CAPACITY = 4
BURST = 40
ATTEMPTS = 20
"""How often a burst is tried until it found the inbox full: on a target elsewhere it may arrive in pieces."""


def overloaded(operation):
    """The message and metadata of an overload."""
    text = f"Actor channel 'dispatch_inbox' is overloaded while attempting to {operation} (capacity {CAPACITY})."
    return "actor", "overloaded", text, {"channel": "dispatch_inbox", "capacity": CAPACITY, "operation": operation}


def of(error):
    """What an error says, apart from the actor it names."""
    return error.group, error.code, error.message, error.metadata


async def pipelined(conform, actor, count, first=0):
    """Numbered calls in one go on a connection of its own; the answers by number."""
    async with conform.frames(actor) as socket:
        for number in range(first, first + count):
            await socket.request(number, "accept", number)
        answers = [await socket.receive() for _ in range(count)]
        await socket.exactly(*answers)
    by_number = {one.action_id if isinstance(one, ErrorFrame) else one.id: one for one in answers}
    assert sorted(by_number) == list(range(first, first + count))
    return [by_number[number] for number in sorted(by_number)]


async def full(conform, attempt):
    """The results of the first attempt in which something was refused."""
    for number in range(ATTEMPTS):
        results = await attempt(number)
        if any(refused for _, refused in results):
            return results
    return inconclusive(f"no burst of {BURST} found the inbox full")


def is_error(answer):
    """Whether a frame refuses."""
    return isinstance(answer, ErrorFrame)


@requirement("TASK-003", "TASK-004", "CONN-087", "WIRE-840", "WIRE-841", "WIRE-521", "CONN-094")
@capability("overload")
async def test_refused_calls_of_a_connection(conform):
    """Each call of a burst has one answer, a result or the whole error, actor included; nothing else comes and the connection serves on."""
    actor = conform.get_or_create("overloadActor")
    actor_id = await actor.resolve()

    async def attempt(number):
        return [(one, is_error(one)) for one in await pipelined(conform, actor, BURST, number * BURST)]

    results = await full(conform, attempt)
    for answer, refused in results:
        if refused:
            assert of(answer.error) == overloaded("dispatch_action")
            assert (answer.error.actor.actor_id, answer.error.actor.generation) == (actor_id, 1)
        else:
            assert isinstance(answer, ActionResponse) and type(answer.output) is int


@requirement("TASK-001", "TASK-002", "TASK-005")
@capability("overload")
async def test_an_inbox_holds_its_capacity_and_no_more(conform):
    """Of a burst the calls up to the capacity are always accepted; where it arrives in one piece, the next is refused."""
    actor = conform.get_or_create("overloadActor")
    await actor.action("getAccepted")
    accepted = []
    for number in range(ATTEMPTS):
        answers = await pipelined(conform, actor, BURST, number * BURST)
        accepted.append(next((index for index, one in enumerate(answers) if is_error(one)), BURST))
        assert accepted[-1] >= CAPACITY, "refused although there was room"
        if accepted[-1] == CAPACITY:
            break
    if min(accepted) == BURST:
        inconclusive("no burst found the inbox full")
    assert min(accepted) == CAPACITY, f"calls accepted before the first refusal, by burst: {accepted}"


@requirement("TASK-001", "TASK-005")
@capability("overload")
@pytest.mark.parametrize("count", [1, CAPACITY - 1, CAPACITY])
async def test_up_to_the_capacity_nothing_is_refused(conform, count):
    """As many calls at once as the inbox holds are all served, again and again, in their order."""
    actor = conform.get_or_create("overloadActor")
    for turn in range(3):
        answers = await pipelined(conform, actor, count, turn * count)
        assert answers == [ActionResponse(turn * count + index, turn * count + index + 1) for index in range(count)]
    assert (await actor.action("getAccepted"))["ids"] == list(range(3 * count))


@requirement("TASK-005")
@capability("overload")
async def test_refused_calls_do_not_run(conform):
    """What was refused never runs, what was accepted ran once and in the order of the connection."""
    actor = conform.get_or_create("overloadActor")
    ran = []

    async def attempt(number):
        answers = await pipelined(conform, actor, BURST, number * BURST)
        ran.extend(one.id for one in answers if not is_error(one))
        return [(one, is_error(one)) for one in answers]

    await full(conform, attempt)
    assert await actor.action("getAccepted") == {"accepted": len(ran), "ids": ran}


async def volley(conform, actor, path, bodies):
    """Answers of requests that came at once, each with whether it is an error."""
    answers = await conform.volley(actor, [(path, body) for body in bodies])
    return [((response, at), not response.is_success) for response, at in answers]


@requirement("TASK-004", "CONN-087", "WIRE-840", "WIRE-841", "WIRE-835")
@capability("overload")
async def test_refused_calls_over_http(conform):
    """An HTTP call that meets a full inbox is answered 500 with the whole error, the others are served."""
    actor = conform.get_or_create("overloadActor")
    actor_id = await actor.resolve()
    await actor.action("getAccepted")
    served = 0

    async def attempt(number):
        nonlocal served
        bodies = [encode_action_request([number * BURST + index], conform.encoding) for index in range(BURST)]
        results = await volley(conform, actor, "/action/accept", bodies)
        served += sum(not refused for _, refused in results)
        return results

    for (response, _), refused in await full(conform, attempt):
        if not refused:
            assert (response.status_code, type(decoded(response))) == (200, int)
            continue
        error = decoded(response)
        assert (response.status_code, of(error)) == (500, overloaded("dispatch_action"))
        assert (error.actor.actor_id, response.headers["x-rivet-actor"]) == (actor_id, actor_id)
    assert (await actor.action("getAccepted"))["accepted"] == served


@requirement("CONN-087", "TASK-002")
@capability("overload")
async def test_refused_calls_do_not_wait(conform):
    """A refusal comes at once: before any of the accepted calls, which take a while, has its answer."""
    actor = conform.get_or_create("overloadActor")
    await actor.action("getAccepted")
    results = await full(
        conform, lambda _: volley(conform, actor, "/action/hold", [encode_action_request([2000], conform.encoding)] * BURST)
    )
    refusals = [at for (_, at), refused in results if refused]
    answers = [at for (_, at), refused in results if not refused]
    assert len(answers) >= CAPACITY
    assert max(refusals) < min(answers)


@requirement("CONN-087", "QUEUE-068", "WIRE-840", "WIRE-841")
@capability("overload")
async def test_refused_queue_sends(conform):
    """A queue send that meets a full inbox is answered 500 with the whole error and stores nothing; the others store their message once."""
    actor = conform.get_or_create("overloadActor")
    await actor.action("getAccepted")
    stored = []

    async def attempt(number):
        numbers = [number * BURST + index for index in range(BURST)]
        bodies = [encode_queue_request(QueueSend(one), conform.encoding) for one in numbers]
        results = await volley(conform, actor, "/queue/work", bodies)
        stored.extend(one for one, (_, refused) in zip(numbers, results, strict=True) if not refused)
        return results

    for (response, _), refused in await full(conform, attempt):
        said = decoded(response)
        if refused:
            assert (response.status_code, of(said)) == (500, overloaded("dispatch_queue_send"))
        else:
            assert (response.status_code, said.status, said.response) == (200, "completed", UNDEFINED)
    assert sorted(await actor.action("drainWork")) == stored
