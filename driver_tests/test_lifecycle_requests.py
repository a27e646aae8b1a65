"""Suite lifecycle-requests: asking for sleep and destruction, from everywhere and twice, and the abort signal."""

from __future__ import annotations

import pytest

from harness import any_encoding, requirement, suite, timing, untimed
from harness.testing.interpreter import labels, latch, made, op, play, put, ref, trace, traced

pytestmark = [suite("lifecycle-requests"), timing, any_encoding]

NOTHING = op("value", value={})
EAGER = {"x-rivet-skip-ready-wait": "1"}
MASKED = "An internal error occurred"
ABORTED = [op("aborted"), op("wait", ms=1), op("aborted", as_="aborted")]
"""A cleanup hook's look at the signal; where that is a JS object the first one may come before it has been told."""
STOPPING = {"ok": False, "error": {"group": "actor", "code": "stopping"}}
TELLING = {"onSleep": [trace("onSleep")], "onDestroy": [trace("onDestroy")], "onWake": [trace("onWake")]}


async def values(conform, label):
    """The values recorded under a label; of errors only what they are."""
    found = [record["value"] for record in await traced(conform) if record["label"] == label]
    return [identity(one) if isinstance(one, dict) and one.get("ok") is False else one for one in found]


def identity(outcome):
    """A failed outcome without its text."""
    return {**outcome, "error": {name: outcome["error"][name] for name in ("group", "code")}}


def tried(kind, name):
    """Ask, and keep what came of it under a name."""
    return op("try", do=[op(kind)], as_=name)


# Asking.


@requirement("SLEEP-020", "SLEEP-021", "SLEEP-030", "SLEEP-026")
async def test_sleep_request_of_an_action(conform, boundary):
    """It returns at once, a second time too; the action goes on, is not aborted, and is answered; then there is one sleep."""
    actor = made(conform, **TELLING)
    steps = [tried("sleep", "one"), tried("sleep", "two"), op("aborted", as_="aborted"), op("set", at="state.late", value=1)]
    found = await play(actor, *steps, op("value", value=[ref("one.ok"), ref("two.ok"), ref("aborted")]))
    assert found == [True, True, False]
    actor_id = await actor.resolve()
    await boundary.wait_asleep(actor_id)
    assert await play(made(conform), op("value", value=ref("state.late"))) == 1
    assert await labels(conform) == ["onWake", "onSleep", "onWake"]


@requirement("SLEEP-020", "RUN-120")
@untimed
async def test_sleep_request_tells_of_changes(conform):
    """What changed before the request has been told to onStateChange when the request returns."""
    actor = made(conform, onStateChange=[op("incr", at="vars.changes")])
    steps = [op("set", at="state.x", value=1), op("sleep"), op("value", value=ref("vars.changes"))]
    assert await play(actor, *steps) == 1


@requirement("SLEEP-026", "SLEEP-021", "SLEEP-031", "SLEEP-030")
async def test_sleep_request_in_sleep_grace(conform, boundary):
    """In grace the record shows the sleep, the signal has fired, and a further request is a silent no-op, after the wake, too."""
    held = [*ABORTED, tried("sleep", "again"), trace("onSleep", [ref("aborted"), ref("again.ok")]), latch("in sleep")]
    actor = made(conform, onWake=[trace("onWake")], onSleep=held)
    await play(actor, NOTHING)
    actor_id = await actor.resolve()
    before = await boundary.record(actor_id)
    assert before["sleep_ts"] is None and before["connectable_ts"] is not None
    await play(actor, op("sleep"))
    await conform.latch("in sleep").arrived()
    record = await boundary.record(actor_id)
    assert record["sleep_ts"] is not None and record["sleep_ts"] >= before["connectable_ts"]
    assert (record["connectable_ts"], record["destroy_ts"]) == (None, None)
    await conform.latch("in sleep").release()
    response = await conform.post_action(made(conform), "exec", [NOTHING], encoding="json")
    assert response.headers["x-rivet-actor-generation"] == "2"
    assert await labels(conform) == ["onWake", "onSleep", "onWake"]
    assert await values(conform, "onSleep") == [[True, True]]


@requirement("SLEEP-022", "SLEEP-031", "DESTROY-003", "DESTROY-021", "DESTROY-027")
@pytest.mark.parametrize("via", ["action", "api"])
async def test_requests_in_a_destroy(conform, boundary, eventually, via):
    """In onDestroy, which runs once, the signal has fired and requests for a sleep or another destruction fail with actor.stopping."""
    asks = [*ABORTED, tried("sleep", "sleep"), tried("destroy", "destroy")]
    told = [trace("aborted", ref("aborted")), trace("sleep", ref("sleep")), trace("destroy", ref("destroy"))]
    actor = made(conform, onSleep=[trace("onSleep")], onDestroy=[*asks, *told])
    await boundary.destroy(actor, via=via)
    await eventually(lambda: labels(conform), until=lambda seen: len(seen) >= 3, what="the hook")
    assert await labels(conform) == ["aborted", "sleep", "destroy"]
    assert await values(conform, "aborted") == [True]
    assert await values(conform, "sleep") == [STOPPING]
    assert await values(conform, "destroy") == [STOPPING]


@requirement("DESTROY-002", "DESTROY-003", "DESTROY-021", "SLEEP-030")
async def test_destroy_request_of_an_action(conform, boundary, eventually):
    """The first is accepted at once and aborts nothing, the second fails; the action is answered with its own result."""
    actor = made(conform, **TELLING)
    steps = [tried("destroy", "one"), op("aborted", as_="aborted"), tried("destroy", "two")]
    actor_id = await actor.resolve()
    found = await play(actor, *steps, op("value", value=[ref("one"), ref("aborted"), ref("two")]))
    assert found[:2] == [{"ok": True, "value": None}, False]
    assert identity(found[2]) == STOPPING
    await boundary.wait_destroyed(actor_id)
    seen = await eventually(lambda: labels(conform), until=lambda found: len(found) >= 2, what="the hook")
    assert seen == ["onWake", "onDestroy"]


@requirement("DESTROY-005", "DESTROY-006", "TASK-023")
async def test_destroy_request_after_a_sleep_request(conform, boundary):
    """Both requests of one action are accepted; onSleep runs and onDestroy does not, and the actor sleeps or is destroyed."""
    actor = made(conform, **TELLING)
    actor_id = await actor.resolve()
    steps = [tried("sleep", "one"), tried("destroy", "two"), op("value", value=[ref("one.ok"), ref("two.ok")])]
    assert await play(actor, *steps) == [True, True]
    await boundary.wait_asleep(actor_id)
    fresh = await play(made(conform, **TELLING), op("value", value=ref("actor.id")))
    record = await boundary.record(actor_id)
    seen = await labels(conform)
    assert seen == ["onWake", "onSleep", "onWake"]
    assert (fresh == actor_id) is (record["destroy_ts"] is None)


@requirement("TASK-023", "TASK-022", "DESTROY-040", "DESTROY-045")
async def test_calls_between_request_and_destruction(conform, boundary):
    """From the request on newcomers are refused with actor.destroying, held ones are told of the end, and later ones find nothing."""
    actor = made(conform, onDestroy=[trace("onDestroy"), latch("in destroy")])
    actor_id = await actor.resolve()
    await play(actor, op("destroy"))
    await conform.latch("in destroy").arrived()
    response = await conform.post_action(actor_id, "exec", [trace("served")], encoding="json", headers=EAGER)
    body = response.json()
    assert (response.status_code, body["group"], body["code"], body["message"]) == (500, "actor", "destroying", MASKED)
    assert body.get("metadata") is None
    held = conform.spawn(conform.post_action(actor_id, "exec", [trace("served")], encoding="json"))
    await conform.latch("in destroy").release()
    await boundary.wait_destroyed(actor_id)
    response = await held
    assert (response.status_code, response.json()["group"]) == (400, "actor")
    assert response.json()["code"] == "destroyed_while_waiting_for_ready"
    assert response.json()["message"] == "Actor was destroyed while waiting for ready state."
    response = await conform.post_action(actor_id, "exec", [trace("served")], encoding="json")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert response.json()["message"] == "The actor does not exist or was destroyed."
    assert await labels(conform) == ["onDestroy"]


@requirement("START-052", "DESTROY-007", "DESTROY-008", "STOP-001")
async def test_delete_in_sleep_grace_ends_in_destruction(conform, boundary):
    """A delete in sleep grace waits for the one onSleep, then the actor is destroyed without onDestroy; who was held is told."""
    actor = made(conform, **{**TELLING, "onSleep": [trace("onSleep"), latch("in sleep")]})
    await play(actor, NOTHING)
    actor_id = await actor.resolve()
    await conform.rest.sleep_actor(actor_id)
    await conform.latch("in sleep").arrived()
    held = conform.spawn(conform.post_action(actor_id, "exec", [NOTHING], encoding="json"))
    conform.spawn(conform.rest.destroy_actor(actor_id))
    assert (await boundary.record(actor_id))["destroy_ts"] is None
    await conform.latch("in sleep").release()
    await boundary.wait_destroyed(actor_id)
    response = await held
    assert (response.status_code, response.json()["code"]) == (400, "destroyed_while_waiting_for_ready")
    assert await labels(conform) == ["onWake", "onSleep"]


@requirement("DESTROY-008", "DESTROY-004", "DESTROY-045")
async def test_delete_of_a_sleeping_actor(conform, boundary, clock):
    """It is destroyed without being started, and neither that nor a repetition of the delete runs a hook."""
    actor = made(conform, **TELLING)
    await play(actor, op("schedule.after", ms=1500, do=[trace("fired")]))
    actor_id = await boundary.sleep(actor, via="api")
    await conform.rest.destroy_actor(actor_id)
    first = await boundary.wait_destroyed(actor_id)
    await conform.rest.destroy_actor(actor_id)
    await clock.sleep(3)
    assert await boundary.record(actor_id) == first
    assert await labels(conform) == ["onWake", "onSleep"]


PLACES = ["onConnect", "onDisconnect", "onRequest", "onWebSocket", "onMessage", "onClose", "run", "schedule", "waitUntil", "keepAwake"]


@requirement("DESTROY-001", "SLEEP-020", "DESTROY-021", "DESTROY-027", "DESTROY-047", "RUN-006", "SLEEP-082")
@pytest.mark.parametrize("kind", ["sleep", "destroy"])
@pytest.mark.parametrize("place", PLACES)
async def test_request_from_everywhere(conform, boundary, eventually, place, kind):
    """Sleep and destruction can be asked for in every hook and handler; the right cleanup hook runs once, and the other one never."""
    programs = {name: program for name, program in TELLING.items() if name != "onWake"}
    actor = made(conform, **programs)
    actor_id = await actor.resolve()
    ask = [op("if", value=ref("conn.params"), is_="asking", then=[op(kind)])] if place in ("onConnect", "onDisconnect") else [op(kind)]
    if place in ("waitUntil", "keepAwake"):
        await play(actor, op("waitUntil", do=ask) if place == "waitUntil" else op("keepAwake", background=True, do=ask))
    elif place == "schedule":
        await play(actor, op("schedule.after", ms=10, do=ask))
    elif place == "run":
        await play(actor, op("setProgram", place="run", program=ask), op("run.setWakeAt", at={"$now": 10}))
    else:
        await put(actor, place, *ask)
        await trigger(conform, actor, place)
    await (boundary.wait_asleep(actor_id) if kind == "sleep" else boundary.wait_destroyed(actor_id))
    seen = await eventually(lambda: labels(conform), until=bool, what="the cleanup hook")
    assert seen == ["onSleep" if kind == "sleep" else "onDestroy"]


async def trigger(conform, actor, place):
    """Have the hook of a connection, request or socket run."""
    if place == "onRequest":
        await actor.fetch("/")
    elif place in ("onConnect", "onDisconnect"):
        async with conform.frames(actor, "asking", encoding="json", accepted=place == "onDisconnect"):
            pass
    else:
        await put(actor, "onWebSocket" if place != "onWebSocket" else "canPublish", op("socket.send", data="open"))
        socket = await actor.web_socket()
        if place != "onWebSocket":
            assert await socket.recv() == "open"
        if place == "onMessage":
            await socket.send("go")
        elif place == "onClose":
            await socket.close()


# The abort signal.


@requirement("SLEEP-030", "SLEEP-032", "SLEEP-041")
@pytest.mark.parametrize("kind", ["sleep", "destroy"])
async def test_abort_signal_and_waits(conform, boundary, eventually, kind):
    """When grace begins waits on the signal end, pending receives fail with actor.aborted, and the wait for a completion goes on."""
    waits = [op("wait", ms=60_000, abortable=True), op("aborted", as_="aborted"), trace("signal", ref("aborted"))]
    receive = [op("try", do=[op("queue.next", names=["other"], timeout=60_000)], as_="got"), trace("receive", ref("got"))]
    ask = [op("try", do=[op("queue.ask", name="jobs", body=1, timeout=60_000)], as_="answer"), trace("answer", ref("answer"))]
    serve = [op("queue.next", names=["jobs"], completable=True, as_="m"), latch("served"), op("queue.complete", message="m", response=7)]
    actor = made(conform, onSleep=[latch("in grace")], onDestroy=[latch("in grace")])
    actor_id = await actor.resolve()
    calls = [conform.spawn(play(actor, *steps)) for steps in (serve, ask, waits, receive)]
    await conform.latch("served").arrived()
    assert await labels(conform) == []
    if kind == "sleep":
        await conform.rest.sleep_actor(actor_id)
    else:
        conform.spawn(conform.rest.destroy_actor(actor_id))
    await conform.latch("in grace").arrived()
    seen = await eventually(lambda: labels(conform), until=lambda found: len(found) >= 2, what="the end of the waits")
    assert sorted(seen) == ["receive", "signal"]
    assert await values(conform, "signal") == [True]
    assert await values(conform, "receive") == [{"ok": False, "error": {"group": "actor", "code": "aborted"}}]
    await conform.latch("served").release()
    await eventually(lambda: labels(conform), until=lambda found: len(found) >= 3, what="the completion")
    assert await values(conform, "answer") == [{"ok": True, "value": 7}]
    await conform.latch("in grace").release()
    for call in calls:
        assert await conform.settled(call) is None
    await (boundary.wait_asleep(actor_id) if kind == "sleep" else boundary.wait_destroyed(actor_id))
