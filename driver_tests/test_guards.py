"""Suite guards: when the guards of events and queues are asked, what their answers mean, and what schemas let through."""

from __future__ import annotations

import pytest

from client import UNDEFINED
from harness import any_encoding, requirement, suite, timing
from harness.frames import decoded
from harness.testing.codecs import Event
from harness.testing.interpreter import labels, made, op, play, ref, trace, traced

pytestmark = [suite("guards"), any_encoding]

ASKED = [trace("asked", [ref("conn.params"), ref("request.method")])]
INTERNAL = "rivetkit.internal_error"


def answer(value):
    """A guard that says it was asked and answers this."""
    return [*ASKED, op("value", value=value)]


@requirement("ACCESS-030", "ACCESS-033", "ACCESS-034", "EVENT-011", "EVENT-010")
async def test_when_subscriptions_are_asked_for(conform, boundary):
    """A guard is asked for each subscription to its event and for nothing else: not for its end, not for an event, not at a wake."""
    actor = made(conform, canSubscribe=answer(True))
    async with conform.frames(actor, params="me", encoding="json") as socket:
        for _ in range(2):
            await socket.subscribe("guarded")
        for event in ("event", "never declared"):
            await socket.subscribe(event)
        await socket.unsubscribe("guarded")
        await socket.unsubscribe("guarded")
        await socket.subscribe("guarded")
        await socket.exactly()
        await play(actor, op("broadcast", event="guarded", args=[0]))
        await boundary.sleep(actor, via="api")
        await play(made(conform), op("broadcast", event="guarded", args=[1]))
        await socket.exactly(Event("guarded", [0]), Event("guarded", [1]))
    asked = [record["value"][0] for record in await traced(conform)]
    assert asked in (["me"] * 3, ["me"] * 2)


@requirement("ACCESS-031", "ACCESS-032")
@pytest.mark.parametrize(
    ("guard", "reason"),
    [
        ([op("value", value=False)], "auth.forbidden"),
        ([op("value", value="yes")], INTERNAL),
        ([op("value", value=1)], INTERNAL),
        ([op("value", value=None)], INTERNAL),
        ([op("throw", message="no", code="mine")], "user.mine"),
        ([op("throw", kind="internal", message="secret")], INTERNAL),
    ],
    ids=["false", "text", "one", "null", "user", "internal"],
)
async def test_answers_about_subscriptions(conform, guard, reason):
    """Only `true` admits; anything else closes the connection with its reason, records nothing and handles nothing that came behind."""
    actor = made(conform, canSubscribe=guard)
    async with conform.frames(actor, encoding="json") as socket, conform.frames(actor, encoding="json") as other:
        await socket.subscribe("guarded")
        await socket.request(1, "exec", [trace("ran")])
        await socket.exactly(closed=(1011, reason))
        await play(actor, op("broadcast", event="guarded", args=[0]))
        await other.exactly()
        assert [one["id"] for one in await play(actor, op("conns")) if one["isHibernatable"]] == [other.init.connection_id]
    assert await labels(conform) == []


@requirement("ACCESS-032")
@timing
async def test_a_guard_that_takes_long(conform, clock):
    """A guard of a subscription has the time of `onBeforeConnect`; then the connection ends."""
    actor = made(conform, "interpreterTimes", canSubscribe=[op("wait", ms=3000), op("value", value=True)])
    async with conform.frames(actor, encoding="json") as socket:
        started = clock.monotonic()
        await socket.subscribe("guarded")
        await socket.exactly(closed=(1011, "actor.callback_timed_out"))
        clock.took(started, most=conform.limit(2.5), least=0.29)


@requirement("ACCESS-020", "ACCESS-021", "ACCESS-022", "ACCESS-003")
@pytest.mark.parametrize("wait", [False, True])
@pytest.mark.parametrize(
    ("guard", "answers"),
    [
        ([op("value", value=True)], {(200, None)}),
        ([op("value", value=False)], {(403, "auth.forbidden")}),
        ([op("value", value="yes")], {(500, INTERNAL), (403, "auth.forbidden")}),
        ([op("value", value=None)], {(500, INTERNAL), (403, "auth.forbidden")}),
        ([op("throw", message="no", code="mine")], {(500, "user.mine")}),
        ([op("throw", kind="internal", message="secret")], {(500, INTERNAL)}),
    ],
    ids=["true", "false", "text", "null", "user", "internal"],
)
async def test_answers_about_sends(conform, guard, answers, wait):
    """Only `true` admits; an error of the guard is the answer; what is refused is not stored."""
    actor = made(conform, canPublish=[*ASKED, *guard])
    await actor.resolve()
    content = b'{"body":1,"wait":true,"timeout":0}' if wait else b'{"body":1}'
    headers = {"x-rivet-conn-params": '"me"'}
    response = await conform.request(actor, "/queue/guarded", content=content, headers=headers, encoding="json")
    result = decoded(response)
    admitted = response.status_code == 200
    assert (response.status_code, None if admitted else f"{result.group}.{result.code}") in answers
    assert len(await play(actor, op("queue.nextBatch", count=9, timeout=0))) == admitted
    assert [record["value"] for record in await traced(conform)] == [["me", "POST"]]


@requirement("ACCESS-023", "ACCESS-020", "ACCESS-024")
async def test_sends_that_nobody_guards(conform):
    """The actor's own sends and sends to other queues are not asked for."""
    actor = made(conform, canPublish=answer(False))
    await play(actor, op("queue.send", name="guarded", body=0), op("try", do=[op("queue.ask", name="guarded", timeout=0)]))
    await actor.send("jobs", 1)
    await actor.send("never declared", 2)
    assert [one["name"] for one in await play(actor, op("queue.nextBatch", count=9, timeout=0))] == ["guarded", "guarded", "jobs"]
    assert await labels(conform) == []


@requirement("QUEUE-012", "ACCESS-020")
async def test_the_guard_comes_first(conform):
    """A denied sender does not learn that the message is too large or the queue full."""
    actor = made(conform, "interpreterSmall", canPublish=[op("value", value=False)])
    await play(actor, op("repeat", times=4, do=[op("queue.send", name="jobs")]))
    for content in (b'{"body":1}', b'{"body":"' + b"x" * 400 + b'"}'):
        response = await conform.request(actor, "/queue/guarded", content=content, encoding="json")
        assert (response.status_code, decoded(response).code) == (403, "forbidden")


# Schemas.


@requirement("CONN-042", "CONN-044")
@pytest.mark.parametrize("kind", ["client", "socket", "action", "queue", "request"])
async def test_parameters_that_do_not_fit(conform, kind):
    """They are refused before any hook, on each surface in its way."""
    actor = made(conform, "interpreterSchema", onBeforeConnect=[trace("asked")], onRequest=[op("value", value={})])
    await actor.resolve()
    headers = {"x-rivet-conn-params": '{"n":"five"}'}
    reason = (1011, "actor.validation_error")
    if kind == "client":
        async with conform.frames(actor, params={"n": "five"}, accepted=False, encoding="json") as socket:
            await socket.exactly(lambda frame: frame.error.code == "validation_error", closed=reason)
    elif kind == "socket":
        socket = await conform.get_or_create("interpreterSchema", params={"n": "five"}).web_socket()
        assert await socket.wait_closed() == reason
    else:
        path, body = {"action": ("/action/exec", b'{"args":[[]]}'), "queue": ("/queue/jobs", b"{}"), "request": ("/request", b"")}[kind]
        response = await conform.request(actor, path, content=body, headers=headers, encoding="json")
        error = decoded(response)
        assert (error.group, error.code) == ("actor", "validation_error")
    assert await labels(conform) == []


@requirement("CONN-042", "CONN-040")
async def test_parameters_that_fit(conform):
    """Hooks and connection see what the schema made of them."""
    actor = made(
        conform, "interpreterSchema", onBeforeConnect=[trace("seen", ref("params"))], createConnState=[trace("seen", ref("params"))]
    )
    async with conform.frames(actor, params={"n": "5", "more": 1}, encoding="json") as socket:
        await socket.request(1, "exec", [op("value", value=ref("conn.params"))])
        assert (await socket.answer(1)).output == {"n": 5}
    assert [record["value"] for record in await traced(conform)] == [{"n": 5}] * 2


@requirement("EVENT-020", "EVENT-021", "EVENT-022")
@pytest.mark.parametrize("operation", ["broadcast", "conn.send"])
async def test_payloads_of_events(conform, operation):
    """One argument is checked as itself and more as a list; what the schema makes of it is sent, and of what does not fit nothing."""
    actor = made(conform, "interpreterSchema")
    async with conform.frames(actor, encoding="json") as socket:
        for event in ("checked", "pair", "late", "event"):
            await socket.subscribe(event)
        await socket.exactly()
        target = {} if operation == "broadcast" else {"id": socket.init.connection_id}

        async def emit(event, *args):
            return await play(actor, op("try", do=[op(operation, event=event, args=list(args), **target)]))

        fits = [("checked", [{"n": "5", "x": 1}], [{"n": 5}]), ("pair", ["1", 2], [1, 2]), ("event", [{"x": 0}, ""], [{"x": 0}, ""])]
        for event, args, sent in fits:
            assert (await emit(event, *args))["ok"] is True
            await socket.exactly(Event(event, sent))
        for event, args in (("checked", [{}]), ("checked", []), ("checked", [{"n": 1}, {"n": 2}]), ("checked", [None]), ("pair", ["a", 1])):
            outcome = await emit(event, *args)
            error = outcome["error"]
            assert (error["group"], error["code"], error["message"]) == ("actor", "validation_error", f"Invalid event `{event}` payload")
            assert error["metadata"]["issues"]
        late = (await emit("late", 1))["error"]
        assert (late["group"], late["code"]) == ("feature", "unsupported") and "async schema validation" in late["message"]
        await socket.exactly()


@requirement("EVENT-021")
async def test_an_event_that_does_not_fit_is_an_error_of_its_action(conform):
    """Who called the action sees the code, with a masked text."""
    actor = made(conform, "interpreterSchema")
    response = await conform.post_action(actor, "exec", [op("broadcast", event="checked", args=[{}])], encoding="json")
    error = decoded(response)
    assert (response.status_code, error.group, error.code, error.metadata) == (500, "actor", "validation_error", UNDEFINED)
    assert error.message == "An internal error occurred"


@requirement("QUEUE-020", "QUEUE-012")
async def test_bodies_of_messages(conform):
    """The schema decides what is stored, for sends from outside and inside; what does not fit is not stored and uses no id."""
    actor = made(conform, "interpreterSchema")
    for content, status in ((b'{"body":{"n":"x"}}', 500), (b"{}", 500), (b'{"body":{"n":"7","more":1}}', 200)):
        response = await conform.request(actor, "/queue/checked", content=content, encoding="json")
        assert response.status_code == status
        if status == 500:
            error = decoded(response)
            assert (error.group, error.code, error.message) == ("actor", "validation_error", "An internal error occurred")
    refused = (await play(actor, op("try", do=[op("queue.send", name="checked", body=[])])))["error"]
    assert (refused["code"], refused["message"]) == ("validation_error", "Invalid queue `checked` message")
    await play(actor, op("queue.send", name="checked", body={"n": "8"}), op("queue.send", name="jobs", body={"n": "x"}))
    got = await play(actor, op("queue.nextBatch", count=9, timeout=0))
    assert [(one["id"], one["body"]) for one in got] == [(1, {"n": 7}), (2, {"n": 8}), (3, {"n": "x"})]


@requirement("QUEUE-021", "QUEUE-022", "QUEUE-051")
async def test_responses_that_do_not_fit(conform):
    """The message stays, its sender goes on waiting, and it can be completed after all; without a schema any response will do."""
    actor = made(conform, "interpreterSchema")
    waiting = conform.spawn(actor.send("checked", {"n": 1}, wait=True, timeout=20))
    wrong = [op("try", do=[op("queue.complete", message="m", response=bad)], as_=f"r{place}") for place, bad in enumerate([{}, 5])]
    take = op("queue.next", names=["checked"], completable=True, timeout=10_000, as_="m")
    first, second = await play(actor, take, *wrong, op("value", value=[ref("r0"), ref("r1")]))
    for outcome in (first, second):
        assert outcome["error"]["message"] == "Invalid queue `checked` completion response"
    assert not waiting.done()
    await play(actor, take, op("queue.complete", message="m", response={"n": "9", "x": 1}))
    result = await waiting
    assert (result.status, result.response) == ("completed", {"n": 9})
    assert await play(actor, op("queue.nextBatch", count=9, timeout=0)) == []
