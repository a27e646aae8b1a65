"""Suite queue-completion: messages that stay until they are completed, by whom and how often, and who waits for it."""

from __future__ import annotations

import pytest

from client import UNDEFINED
from driver_tests.falsy import FALSY
from harness import any_encoding, requirement, suite
from harness.codec.messages import QueueResult
from harness.frames import decoded
from harness.testing.codecs import same
from harness.testing.interpreter import latch, made, op, play, ref

pytestmark = [suite("queue-completion")]

HELD = {
    "group": "queue",
    "code": "previous_message_not_completed",
    "message": "Previous completable queue message is not completed. Call `message.complete(...)` before receiving the next message.",
}
TAKE = op("queue.next", names=["jobs"], completable=True, timeout=0, as_="m")


def tried(*steps, **fields):
    """The outcome of steps."""
    return op("try", do=list(steps), **fields)


async def stored(actor):
    """What is in the queue, without taking it."""
    return [one["body"] for one in await play(actor, op("queue.nextBatch", count=99, completable=True, timeout=0))]


@requirement("QUEUE-050", "QUEUE-051", "QUEUE-052", "QUEUE-002")
@any_encoding
@pytest.mark.parametrize("sleeps", [False, True])
async def test_messages_stay_until_they_are_completed(conform, boundary, sleeps):
    """What was received and not completed comes again, as it was, in another call or after a sleep; what was completed does not."""
    actor = made(conform)
    await play(actor, *(op("queue.send", name="jobs", body=number) for number in range(3)))
    first = await play(actor, TAKE)
    if sleeps:
        await boundary.sleep(actor, via="api")
        actor = made(conform)
    again = await play(actor, TAKE, op("queue.complete", message="m"), op("value", value=ref("m")))
    assert again == first and first["body"] == 0
    if sleeps:
        await boundary.sleep(actor, via="api")
        actor = made(conform)
    assert await stored(actor) == [1, 2]
    await play(actor, op("queue.send", name="jobs", body=3))
    assert [one["id"] for one in await play(actor, op("queue.nextBatch", count=9, timeout=0))] == [2, 3, 4]


@requirement("QUEUE-053")
@any_encoding
@pytest.mark.parametrize("held", [1, 2, 3])
async def test_a_context_that_holds_messages(conform, held):
    """A call that holds messages may not receive, in any form, until it has completed each; another call may."""
    actor = made(conform)
    await play(actor, *(op("queue.send", name="jobs", body=number) for number in range(5)))
    receive = [op("queue.next", timeout=0), op("queue.nextBatch", timeout=0), op("queue.next", completable=True, timeout=0),
               op("queue.consume", do=[op("break")])]  # fmt: skip
    program = [
        op("queue.nextBatch", count=held, completable=True, as_="all"),
        *(tried(step, as_=f"r{place}") for place, step in enumerate(receive)),
    ]
    for place in range(held - 1):
        program += [op("queue.complete", message=f"all.{place}")]
    program += [tried(receive[0], as_="still"), op("queue.complete", message=f"all.{held - 1}"), tried(receive[0], as_="then")]
    program += [op("value", value=[*(ref(f"r{place}") for place in range(4)), ref("still"), ref("then.value.body")])]
    *refused, then = await play(actor, *program)
    assert refused == [{"ok": False, "error": HELD}] * 5 and then == held
    assert await stored(actor) == list(range(held + 1, 5))


@requirement("QUEUE-054", "QUEUE-053")
@any_encoding
async def test_receives_that_start_together(conform):
    """The check comes when a receive starts: two of one call that start together may get the same message, a third then may not."""
    actor = made(conform)
    take = op("queue.next", completable=True, timeout=5000)
    together = op("all", do=[[take], [take], [op("queue.send", name="jobs", body="only")]], as_="both")
    both, third = await play(actor, together, tried(take, as_="third"), op("value", value=[ref("both"), ref("third")]))
    assert [one["body"] for one in both[:2]] == ["only", "only"] and third == {"ok": False, "error": HELD}


@requirement("QUEUE-055", "QUEUE-051", "QUEUE-060")
@any_encoding
async def test_completing_twice(conform):
    """The second time is an error; the sender has the first response."""
    actor = made(conform)
    again = {"group": "queue", "code": "already_completed", "message": "Queue message was already completed."}
    serve = [
        op("queue.next", completable=True, as_="m"),
        op("queue.complete", message="m", response=1),
        tried(op("queue.complete", message="m", response=2)),
    ]
    answer, outcome = await play(actor, op("all", do=[[op("queue.ask", name="jobs", timeout=5000)], serve]))
    assert (answer, outcome) == (1, {"ok": False, "error": again})


@requirement("QUEUE-058", "QUEUE-051")
@any_encoding
async def test_completing_by_identity(conform, boundary):
    """Who knows id and name completes, also in a later generation; an unknown id is nothing, another name an error that changes nothing."""
    actor = made(conform)
    await play(actor, *(op("queue.send", name="jobs", body=number) for number in range(2)))
    await play(actor, TAKE)
    await boundary.sleep(actor, via="api")
    actor = made(conform)
    wrong = await play(actor, tried(op("queue.complete", id=1, name="other")))
    mismatch = {"group": "queue", "code": "message_identity_mismatch", "message": "Queue message 1 is named 'jobs', not 'other'."}
    assert {name: wrong["error"][name] for name in mismatch} == mismatch
    assert await stored(actor) == [0, 1]
    for _ in range(2):
        assert await play(actor, op("queue.complete", id=1, name="jobs")) is None
    assert await play(actor, op("queue.complete", id=99, name="whatever")) is None
    assert await stored(actor) == [1]


@requirement("QUEUE-060", "QUEUE-058", "QUEUE-061", "WIRE-335")
@pytest.mark.parametrize("response", [UNDEFINED, *FALSY.values()], ids=["none", *FALSY])
@pytest.mark.parametrize("by_id", [False, True])
async def test_responses(conform, response, by_id):
    """A response is what was given, falsy or not; without one there is none in the answer, and null is one."""
    actor = made(conform)
    await actor.resolve()
    waiting = conform.spawn(conform.post_queue(actor, "jobs", "ask", wait=True, timeout_ms=10_000))
    identity = {"id": ref("m.id"), "name": ref("m.name")} if by_id else {"message": "m"}
    given = {} if response is UNDEFINED else {"response": response}
    await play(actor, op("queue.next", completable=True, timeout=10_000, as_="m"), op("queue.complete", **identity, **given))
    answer = decoded(await waiting)
    assert answer.status == "completed" and same(answer.response, response), answer


@requirement("QUEUE-036", "QUEUE-060", "QUEUE-062")
@any_encoding
async def test_a_plain_receive_answers_nobody(conform):
    """A message that was simply received is gone, and who waited for its completion times out."""
    actor = made(conform)
    call = op("all", do=[[tried(op("queue.ask", name="jobs", timeout=600))], [op("queue.next", timeout=5000)]])
    outcome, message = await play(actor, call)
    assert (outcome["ok"], outcome["error"]["code"], message["name"]) == (False, "timed_out", "jobs")
    assert await stored(actor) == []


@requirement("QUEUE-062", "QUEUE-060")
async def test_a_wait_of_no_time(conform):
    """With a time of 0 a send is answered at once as timed out, and the message is there."""
    actor = made(conform)
    response = await conform.post_queue(actor, "jobs", 1, wait=True, timeout_ms=0)
    assert (response.status_code, decoded(response)) == (200, QueueResult("timedOut"))
    assert await stored(actor) == [1]


@requirement("QUEUE-065", "QUEUE-063")
@any_encoding
async def test_a_waiting_send_holds_the_grace(conform):
    """A send that waits holds the end of the generation until it is completed, and has its answer."""
    serve = [op("queue.next", names=["jobs"], completable=True, as_="m"), op("queue.complete", message="m", response=[0])]
    actor = made(conform, onSleep=[latch("grace"), *serve])
    await play(actor)
    waiting = conform.spawn(actor.send("jobs", "ask", wait=True, timeout=30))
    await play(actor, op("queue.waitAvailable", names=["jobs"], timeout=10_000))
    await conform.rest.sleep_actor(await actor.resolve())
    await conform.latch("grace").arrived()
    assert not waiting.done()
    await conform.latch("grace").release()
    result = await waiting
    assert (result.status, result.response) == ("completed", [0])
