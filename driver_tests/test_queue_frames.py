"""Suite queue-frames: what a queue send answers, and what of it is stored."""

from __future__ import annotations

import pytest

from client import UNDEFINED
from driver_tests.falsy import FALSY
from harness import requirement, suite, timing
from harness.codec.documents import dump_value
from harness.codec.messages import QueueResult, WireError
from harness.frames import decoded
from harness.testing.codecs import same

pytestmark = suite("queue-frames")

ROOM = 64
"""The largest record of `queueLimitedActor`, in bytes."""


def of(answer):
    """What an error says, apart from the actor it names; any other answer is itself."""
    return (answer.group, answer.code, answer.message, answer.metadata) if isinstance(answer, WireError) else answer


async def received(conform, actor, name):
    """The oldest message of a queue, as its actor got it."""
    return decoded(await conform.post_action(actor, "receiveOne", name, {"timeout": 1000}))


@requirement("WIRE-334", "QUEUE-001", "QUEUE-002", "WIRE-330")
@pytest.mark.parametrize("body", FALSY.values(), ids=FALSY)
async def test_falsy_messages(conform, body):
    """A falsy body is stored and delivered as what it is, once; the answer says `completed` and nothing else."""
    actor = conform.get_or_create("queueActor")
    for _ in range(2):
        response = await conform.post_queue(actor, "greeting", body)
        assert (response.status_code, decoded(response)) == (200, QueueResult("completed"))
    for _ in range(2):
        message = await received(conform, actor, "greeting")
        assert message["name"] == "greeting" and same(message["body"], body), message
    left = await conform.post_action(actor, "tryReceiveMany", {"names": ["greeting"], "count": 5})
    assert decoded(left) == []


@requirement("WIRE-335", "QUEUE-060", "QUEUE-062")
@timing
@pytest.mark.parametrize("timeout_ms", [0, 200])
async def test_a_wait_that_times_out(conform, clock, timeout_ms):
    """The answer is `timedOut` without a response, and the message stays."""
    actor = conform.get_or_create("queueActor")
    await actor.resolve()
    started = clock.monotonic()
    response = await conform.post_queue(actor, "greeting", "still here", wait=True, timeout_ms=timeout_ms)
    clock.took(started, conform.limit(5), timeout_ms / 1000)
    assert (response.status_code, decoded(response)) == (200, QueueResult("timedOut"))
    assert (await received(conform, actor, "greeting"))["body"] == "still here"


@requirement("WIRE-335", "QUEUE-060", "QUEUE-051")
@pytest.mark.parametrize("body", FALSY.values(), ids=FALSY)
async def test_a_wait_that_is_completed(conform, body):
    """The answer is `completed` with exactly the response of the receiver."""
    actor = conform.get_or_create("queueActor")
    await actor.resolve()
    waiting = conform.spawn(conform.post_queue(actor, "tasks", body, wait=True, timeout_ms=5000))
    message = decoded(await conform.post_action(actor, "receiveAndComplete", "tasks"))
    assert same(message["body"], body)
    response = await waiting
    result = decoded(response)
    assert (response.status_code, result.status) == (200, "completed")
    assert same(result.response, {"echo": body}), result.response


@requirement("WIRE-332", "ACCESS-024", "WIRE-334")
@pytest.mark.parametrize("wait", [False, True])
async def test_an_undeclared_queue(conform, wait):
    """A send to a name that is not declared is `completed` without a response at once, and stores nothing."""
    actor = conform.get_or_create("accessControlActor")
    response = await conform.post_queue(actor, "noSuchQueue", 1, wait=wait, timeout_ms=60_000)
    assert (response.status_code, decoded(response)) == (200, QueueResult("completed"))
    assert decoded(await conform.post_action(actor, "allowedReceiveAnyQueue")) is None


@requirement("WIRE-333", "ACCESS-020", "ACCESS-003")
@pytest.mark.parametrize("wait", [False, True])
async def test_a_refused_send(conform, wait):
    """The guard's denial is 403 with exactly this error, and nothing is stored."""
    actor = conform.get_or_create("accessControlActor")
    actor_id = await actor.resolve()
    response = await conform.post_queue(actor, "blockedQueue", 1, wait=wait, timeout_ms=60_000)
    error = decoded(response)
    assert (response.status_code, of(error)) == (403, ("auth", "forbidden", "Forbidden", UNDEFINED))
    assert error.actor.actor_id == actor_id
    assert decoded(await conform.post_action(actor, "allowedReceiveAnyQueue")) is None


def record_size(name, body):
    """The size of a stored message by QUEUE-011; both lengths are below 128, so each takes one byte."""
    return 2 + 1 + len(name.encode()) + 1 + len(dump_value(body)) + 12


@requirement("QUEUE-010", "QUEUE-011", "WIRE-832")
@pytest.mark.parametrize("surplus", [-1, 0, 1])
@pytest.mark.parametrize("letter", ["a", "\u00e9"], ids=["ascii", "two-bytes"])
async def test_the_largest_message(conform, surplus, letter):
    """The record's bytes, not its characters, decide; of the limit it is stored, one byte more is refused with both figures."""
    actor = conform.get_or_create("queueLimitedActor")
    body = letter * (24 // len(letter.encode()))  # so long that its CBOR head has the length it ends with
    body += "x" * (ROOM + surplus - record_size("message", body))
    assert record_size("message", body) == ROOM + surplus
    response = await conform.post_queue(actor, "message", body)
    if surplus <= 0:
        assert (response.status_code, decoded(response)) == (200, QueueResult("completed"))
        return
    text = f"Queue message too large ({ROOM + 1} bytes). Limit is {ROOM} bytes."
    error = decoded(response)
    assert (response.status_code, of(error)) == (400, ("queue", "message_too_large", text, {"size": ROOM + 1, "limit": ROOM}))
    small = await conform.post_queue(actor, "message", 1)
    assert (small.status_code, decoded(small)) == (200, QueueResult("completed"))


@requirement("QUEUE-010", "QUEUE-012", "QUEUE-013")
async def test_a_full_queue(conform):
    """The queue's last place is filled, then refused with exactly this error, for every name; a too large message is told to be that."""
    actor = conform.get_or_create("queueLimitedActor")
    assert decoded(await conform.post_queue(actor, "message", 1)) == QueueResult("completed")
    for name, wait in (("message", False), ("oversize", False), ("message", True)):
        response = await conform.post_queue(actor, name, 2, wait=wait, timeout_ms=60_000)
        assert (response.status_code, of(decoded(response))) == (
            400,
            ("queue", "full", "Queue is full. Limit is 1 messages.", {"limit": 1}),
        )
    response = await conform.post_queue(actor, "message", "x" * 200)
    assert (response.status_code, decoded(response).code) == (400, "message_too_large")
