"""Suite workflow-messages: receives of workflows: which messages, how they are recorded, time-outs, completions."""

from __future__ import annotations

import pytest

from driver_tests.inspecting import inspect
from driver_tests.workflow_history import NAME, ended, history, workflow
from driver_tests.workflow_programs import ERRORS, WAIT, begun, bounded, replaced, told, values, waits, woken, workflow_error
from harness import any_encoding, capability, requirement, suite, timing
from harness.testing.interpreter import labels, latch, made, op, play, ref, step, trace

pytestmark = [suite("workflow-messages"), timing, any_encoding, capability("inspector")]

BLOCKED = "Previous completable queue message is not completed. Call `message.complete(...)` before receiving the next message."
COMPLETE = op("queue.complete", message="m")


def receive(name="m", **fields):
    """A receive whose message is kept under the name of its entry."""
    return op("wf.next", name=name, as_=name, **fields)


def batch(name="b", **fields):
    """A receive of several messages."""
    return op("wf.nextBatch", name=name, as_=name, **fields)


def sending(*messages):
    """Places for messages that are in the queue before the workflow begins: `(queue, body)`."""
    return {"onCreate": [op("queue.send", name=name, body=body) for name, body in messages]}


async def queued(conform):
    """The number of messages in the queue."""
    return (await (await inspect(conform, NAME)).get("queue"))["size"]


def text(value):
    """What the workflow saw in an error that it caught."""
    return told(ref(f"{value}.error.message"), value)


@requirement("WF-090", "WF-096")
@pytest.mark.parametrize("names", [["other"], ["other", "other"], ["guarded", "other"], None, []], ids=str)
async def test_which_messages_are_received(conform, eventually, names):
    """With names the first of theirs, without any the first of all; duplicates are ignored, and what is there is taken without a wait."""
    wanted = {} if names is None else {"names": names}
    program = [receive(**wanted), told([ref("m.name"), ref("m.body")])]
    await play(workflow(conform, *program, **sending(("jobs", 1), ("other", 2), ("other", 3))))
    await ended(conform, eventually, timeout=5)
    assert await values(conform) == [("told", ["other", 2] if names else ["jobs", 1])] and await queued(conform) == 2


@requirement("WF-090", "WF-093", "WF-096")
async def test_a_message_for_others_does_not_end_the_wait(conform, clock, eventually):
    """It stays in the queue, and the receive goes on waiting until one of its own comes."""
    await begun(conform, eventually, receive(names=["jobs"]), told(ref("m.body")))
    await made(conform, NAME).send("other", 1)
    await clock.sleep(0.4)
    shown = await history(conform)
    assert (shown.state, shown.entries) == ("sleeping", {}) and await queued(conform) == 1
    await made(conform, NAME).send("jobs", 2)
    await ended(conform, eventually)
    assert await values(conform) == [("told", 2)] and await queued(conform) == 1


@pytest.mark.timeout(150)
@requirement("WF-093")
async def test_without_a_timeout_a_receive_waits_for_ever(conform, clock, eventually):
    """After 35 s it still waits."""
    shown = await begun(conform, eventually, receive(names=["jobs"]), told(ref("m.body")))
    await clock.sleep(35)
    assert await history(conform) == shown and not [path for path in shown.entries if path.endswith(":deadline")]
    await made(conform, NAME).send("jobs", 0)
    await ended(conform, eventually)
    assert await values(conform) == [("told", 0)]


@requirement("WF-091")
@pytest.mark.parametrize(("count", "bodies"), [(None, [1]), (0, [1]), (1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (9, [1, 2, 3])])
async def test_how_many_a_batch_takes(conform, eventually, count, bodies):
    """Up to its count of what is there, in the order of the queue, at least one; the rest stays."""
    options = {} if count is None else {"count": count}
    program = [batch(names=["jobs"], **options), told([ref(f"b.{n}.body") for n in range(len(bodies))])]
    await play(workflow(conform, *program, **sending(("jobs", 1), ("other", 0), ("jobs", 2), ("jobs", 3))))
    shown = await ended(conform, eventually)
    assert await values(conform) == [("told", bodies)] and await queued(conform) == 4 - len(bodies)
    assert {path for path in shown.entries if path != "told"} == {"b:count", *(f"b:{n}" for n in range(len(bodies)))}


@requirement("WF-091", "WF-142", "WF-097")
async def test_a_batch_of_more_than_a_flush_can_hold(conform, eventually):
    """Of 70 messages some are received by the first batch and the others by the next, in order; none is lost, and the workflow goes on."""
    program = [batch("first", names=["jobs"], count=100), batch("next", names=["jobs"], count=100), told([ref("first"), ref("next")])]
    await play(workflow(conform, *program, **sending(*(("jobs", number) for number in range(70)))))
    await ended(conform, eventually)
    [(_, batches)] = await values(conform)
    assert [message["body"] for one in batches for message in one] == list(range(70)) and await queued(conform) == 0


@requirement("WF-091", "WF-096")
async def test_a_batch_waits_for_one_only(conform, eventually):
    """A batch of many returns with the first message that comes."""
    await begun(conform, eventually, batch(names=["jobs"], count=5), told(ref("b.0.body")))
    await made(conform, NAME).send("jobs", "only")
    shown = await ended(conform, eventually)
    assert await values(conform) == [("told", "only")] and set(shown.entries) == {"b:count", "b:0", "told"}


@requirement("WF-092", "WF-095", "WF-097")
@pytest.mark.parametrize(("names", "label"), [(["jobs", "other"], "jobs|other:count"), (["jobs"], "jobs:count"), (None, "*:count")])
async def test_how_a_receive_is_recorded(conform, eventually, names, label):
    """A count with a label of the names, and each message with id, name, body, time and that it is not completed. It has left the queue."""
    wanted = {} if names is None else {"names": names}
    clocked = {**step("t", op("value", value={"$now": 0})), "as": "t"}
    await play(workflow(conform, batch(count=2, **wanted), clocked, told([ref("b"), ref("t")]), **sending(("jobs", {"a": None}))))
    shown = await ended(conform, eventually)
    assert {path: shown.tag(path) for path in ("b:count", "b:0")} == {"b:count": "Message", "b:0": "Message"}
    assert shown.value("b:count") == {"name": label, "messageData": 1}
    stored = shown.value("b:0")
    ((_, ((message,), now)),) = await values(conform)
    assert stored["name"] == "jobs" and stored["messageData"] == {
        "__rivetWorkflowQueueMessage": 1,
        "id": str(message["id"]),
        "name": "jobs",
        "body": {"a": None},
        "createdAt": message["createdAt"],
        "completed": False,
    }
    assert isinstance(message["id"], int) and 0 <= now - message["createdAt"] <= conform.limit(2) * 1000
    assert message["body"] == {"a": None} and await queued(conform) == 0


@requirement("WF-022", "WF-020", "WF-097")
async def test_a_recorded_message_is_nobodys(conform, eventually):
    """Later passes get it as it was received, whatever code did to it, and it is received once."""
    program = [receive(names=["jobs"]), op("change", of="m.body", value=2), op("wf.sleep", name="nap", ms=150), told(ref("m.body"))]
    await play(workflow(conform, *program, **sending(("jobs", [1]), ("jobs", [8]))))
    await ended(conform, eventually)
    assert await values(conform) == [("told", [1, 2])] and await queued(conform) == 1


@requirement("WF-093", "WF-094", "WF-086")
async def test_a_batch_at_its_deadline(conform, boundary, eventually):
    """It is empty, not before its time, and stays so after a wake though messages have come; its deadline is completed."""
    start = {**step("a", op("value", value={"$now": 0})), "as": "a"}
    end = {**step("z", op("value", value={"$now": 0})), "as": "z"}
    last = [WAIT | {"names": ["other"]}, told([ref("a"), ref("z"), ref("b")])]
    await begun(conform, eventually, start, batch(names=["jobs"], timeout=600), end, *last)
    shown = await eventually(lambda: history(conform), until=lambda seen: "z" in seen.entries, what="the deadline")
    assert shown.value("b:count")["messageData"] == 0 and shown.tag("b:deadline") == "Sleep"
    assert shown.value("b:deadline")["state"] == "COMPLETED"
    await made(conform, NAME).send("jobs", 1)
    await boundary.sleep(made(conform, NAME), via="api")
    await made(conform, NAME).send("other", 2)
    await ended(conform, eventually)
    ((_, (start, end, seen)),) = await values(conform)
    assert seen == [] and 600 <= end - start <= 600 + conform.limit(1) * 1000 and await queued(conform) == 1


@requirement("WF-094", "WF-182")
async def test_a_single_receive_at_its_deadline(conform, boundary, eventually):
    """It fails with a text that names the entry; the outcome is recorded, so it fails so again after a wake."""
    tried = op("try", do=[receive("late", names=["jobs"], timeout=150)], as_="out")
    await begun(conform, eventually, tried, text("out"), WAIT, text("out") | {"name": "again"})
    shown = await eventually(lambda: history(conform), until=lambda seen: "out" in seen.entries, what="the time-out")
    await made(conform, NAME).send("jobs", 1)
    after = await ended(conform, eventually)
    says = 'queue.next("late") timed out before receiving a message. Use queue.nextBatch(...) for optional/time-limited reads.'
    assert await values(conform) == [("out", says)] * 2
    assert after.ids["late:count"] == shown.ids["late:count"] and after.value("late:deadline")["state"] == "COMPLETED"


@requirement("WF-094", "WF-086", "WF-093")
async def test_a_message_before_the_deadline(conform, eventually):
    """It ends the wait at once, and the deadline is interrupted; while it waits the deadline is pending."""
    shown = await begun(conform, eventually, batch(names=["jobs"], timeout=20_000), told(ref("b.0.body")))
    deadline = shown.value("b:deadline")
    assert deadline["state"] == "PENDING" and "b:count" not in shown.entries
    await made(conform, NAME).send("jobs", "in time")
    shown = await ended(conform, eventually, timeout=5)
    assert await values(conform) == [("told", "in time")]
    assert shown.value("b:deadline") == {"deadline": deadline["deadline"], "state": "INTERRUPTED"}


@requirement("WF-093", "WF-084")
@pytest.mark.parametrize("new", [5, 600_000])
async def test_the_deadline_of_a_receive_is_fixed(conform, boundary, eventually, new):
    """After a wake, whatever the code asks for now, the deadline is the one of before."""
    shown = await begun(conform, eventually, batch(names=["jobs"], timeout=2500), told())
    end = {**step("z", op("value", value={"$now": 0})), "as": "z"}
    await replaced(conform, boundary, batch(names=["jobs"], timeout=new), end, told(ref("z")), send=False)
    after = await ended(conform, eventually)
    deadline = shown.value("b:deadline")["deadline"]
    assert after.value("b:deadline")["deadline"] == deadline and after.ids["b:deadline"] == shown.ids["b:deadline"]
    ((_, at),) = await values(conform)
    assert deadline <= at <= deadline + conform.limit(2) * 1000


@requirement("WF-098", "WF-095")
async def test_a_completable_message_stays_until_it_is_completed(conform, eventually):
    """It counts in the queue while it is worked on; completing removes it and answers who waits, also with nothing."""
    held = step("held", latch("held"), COMPLETE | {"response": {"n": 0}})
    program = [receive(names=["jobs"], completable=True), held, told(ref("m.body"))]
    await begun(conform, eventually, *program)
    answer = conform.spawn(made(conform, NAME).send("jobs", "body", wait=True, timeout=20))
    await conform.latch("held").arrived()
    assert await queued(conform) == 1 and not answer.done()
    await conform.latch("held").release()
    result = await answer
    assert (result.status, result.response) == ("completed", {"n": 0})
    shown = await ended(conform, eventually)
    assert await queued(conform) == 0 and shown.value("m:0")["messageData"]["completed"] is True
    assert await values(conform) == [("told", "body")]


@requirement("WF-095")
async def test_only_completable_messages_can_be_completed(conform, eventually):
    """Completing one that was received without is an error."""
    tried = op("try", do=[COMPLETE], as_="out")
    await play(workflow(conform, receive(names=["jobs"]), tried, told(ref("out.ok")), **sending(("jobs", 1))))
    await ended(conform, eventually)
    assert await values(conform) == [("told", False)]


@requirement("WF-099", "WF-100", "WF-103")
@pytest.mark.parametrize("how", ["wf.next", "wf.nextBatch", "completable"])
async def test_an_uncompleted_message_blocks(conform, eventually, how):
    """Any further receive fails, and takes nothing; once it is completed the next one works. A second completion is an error."""
    other = {"wf.next": receive("x"), "wf.nextBatch": batch("x"), "completable": receive("x", completable=True)}[how]
    program = [
        receive(completable=True),
        op("try", do=[other], as_="blocked"),
        text("blocked"),
        COMPLETE,
        op("try", do=[COMPLETE], as_="twice"),
        text("twice"),
        receive("next"),
        told(ref("next.body")),
    ]
    await play(workflow(conform, *program, **sending(("jobs", 1), ("jobs", 2))))
    shown = await ended(conform, eventually)
    assert await values(conform) == [("blocked", BLOCKED), ("twice", "Queue message already completed"), ("told", 2)]
    assert not [path for path in shown.entries if path.startswith("x")] and await queued(conform) == 0


@requirement("WF-101", "WF-020")
async def test_a_completed_message_is_completed_in_later_passes(conform, boundary, eventually):
    """Its completion does nothing then, and it does not block: the next message is received, once."""
    last = [receive("next", names=["other"]), told(ref("next.body"))]
    program = [receive(completable=True), COMPLETE, op("wf.sleep", name="nap", ms=150), *last]
    await begun(conform, eventually, *program, **sending(("jobs", 1)))
    over = lambda shown: "nap" in shown.entries and shown.value("nap")["state"] == "COMPLETED"  # noqa: E731
    await eventually(lambda: history(conform), until=over, what="the nap")
    assert (await history(conform)).value("m:0")["messageData"]["completed"] is True and await queued(conform) == 0
    await boundary.sleep(made(conform, NAME), via="api")
    await made(conform, NAME).send("other", 2)
    await ended(conform, eventually)
    assert await values(conform) == [("told", 2)] and await queued(conform) == 0


@requirement("WF-102", "WF-099")
async def test_an_uncompleted_message_blocks_again_in_later_passes(conform, eventually):
    """A message that is replayed uncompleted blocks the next receive until it is completed."""
    program = [
        receive(completable=True),
        op("wf.sleep", name="nap", ms=150),
        op("try", do=[receive("x")], as_="blocked"),
        text("blocked"),
        COMPLETE,
        receive("next"),
        told([ref("m.body"), ref("next.body")]),
    ]
    await play(workflow(conform, *program, **sending(("jobs", 1), ("jobs", 2))))
    await ended(conform, eventually)
    assert await values(conform) == [("blocked", BLOCKED), ("told", [1, 2])] and await queued(conform) == 0


@requirement("WF-104", "WF-032")
async def test_a_timeout_in_a_loop_replays_no_earlier_message(conform, eventually):
    """The second iteration finds nothing and is empty; it has entries of its own."""
    turn = [{**step("x", *bounded(3)), "as": "n"}, batch(names=["jobs"], timeout=150), told([ref("n"), ref("b")])]
    loop = op("wf.loop", name="l", do=[*turn, op("if", value=ref("n"), is_=2, then=[op("break")])])
    await play(workflow(conform, loop, **sending(("jobs", 7))))
    shown = await ended(conform, eventually)
    (_, (first, got)), (_, (second, nothing)) = await values(conform)
    assert (first, [message["body"] for message in got], second, nothing) == (1, [7], 2, [])
    assert shown.value("l/~0/b:deadline")["state"] == "INTERRUPTED" and shown.value("l/~1/b:count")["messageData"] == 0


@pytest.mark.timeout(150)
@requirement("WF-105", "WF-190")
async def test_a_waiting_workflow_lets_its_actor_sleep(conform, boundary, eventually):
    """Nobody asks for it: while it waits for messages only, the actor goes to sleep, and a message wakes it."""
    await begun(conform, eventually, step("a", trace("a")), receive(names=["jobs"]), told(ref("m.body")))
    await boundary.sleep(made(conform, NAME), via="idle", timeout=45)
    await made(conform, NAME).send("jobs", "late")
    await ended(conform, eventually)
    assert await values(conform) == [("a", None), ("told", "late")]


@requirement("WF-097", "WF-194")
async def test_a_received_message_is_received_once_over_wakes(conform, boundary, eventually):
    """It is neither in the queue any more nor received again."""
    await begun(conform, eventually, receive(names=["jobs"]), told(ref("m.body"), "first"), WAIT, told(), **sending(("jobs", 1)))
    assert await queued(conform) == 0
    await woken(conform, boundary)
    await waits(conform, eventually)
    assert await values(conform) == [("first", 1)]
    await made(conform, NAME).send("jobs", None)
    await ended(conform, eventually)
    assert await labels(conform) == ["first", "told"]


@requirement("WF-099", "WF-182")
async def test_a_blocked_receive_fails_the_workflow(conform, eventually):
    """Not caught, the error ends the workflow, and nothing of the second receive is recorded."""
    await play(workflow(conform, receive(completable=True), receive("x"), onWorkflowError=ERRORS, **sending(("jobs", 1), ("jobs", 2))))
    shown = await ended(conform, eventually, "failed")
    assert (await workflow_error(conform, eventually))["message"] == BLOCKED and set(shown.entries) == {"m:count", "m:0"}
