"""Suite connection-life: time limits of hooks, disconnects, and what connections mean for the sleep of their actor."""

from __future__ import annotations

import pytest

from client import UNDEFINED
from harness import any_encoding, requirement, suite, timing
from harness.codec.messages import ErrorFrame
from harness.frames import decoded
from harness.testing.codecs import ActionResponse, Event
from harness.testing.interpreter import labels, latch, made, op, play, put, ref, trace, traced

pytestmark = [suite("connection-life"), any_encoding]

LIMITS = {"onBeforeConnect": 300, "createConnState": 400, "onConnect": 500}
"""Milliseconds of `interpreterTimes`."""
SLOW = 3000
BY = [trace("onDisconnect", ref("conn.params"))]


def late(hook, ms=SLOW):
    """A program that takes long for connections that ask for it, and says when it is done."""
    asked = "conn.params.slow" if hook == "onConnect" else "params.slow"
    return [op("if", value=ref(asked), then=[op("wait", ms=ms), trace("late")])]


async def open_raw(actor):
    """A raw socket whose handler has run."""
    socket = await actor.web_socket()
    assert await socket.recv() == "open"
    return socket


OPEN = {"onWebSocket": [op("socket.send", data="open")]}


@requirement("CONN-020", "CONN-022", "CONN-023", "CONN-030", "CONN-031")
@timing
@pytest.mark.parametrize("hook", LIMITS)
@pytest.mark.parametrize("kind", ["action", "queue", "request", "socket"])
async def test_a_hook_over_its_limit(conform, clock, hook, kind):
    """The call ends at the limit of this hook with its name and limit; the hook goes on, and what it gives is ignored."""
    actor = made(conform, "interpreterTimes", onDisconnect=BY, **{hook: late(hook)})
    await play(actor)
    slow = {"x-rivet-conn-params": '{"slow":true}', "x-rivet-encoding": "json"}
    started = clock.monotonic()
    if kind == "socket":
        socket = await conform.get_or_create("interpreterTimes", params={"slow": True}).web_socket()
        assert await socket.wait_closed() == (1011, "actor.callback_timed_out")
    else:
        path, body = {"action": ("/action/exec", b'{"args":[[]]}'), "queue": ("/queue/jobs", b"{}"), "request": ("/request", b"")}[kind]
        error = decoded(await conform.request(actor, path, content=body, headers=slow, encoding="json"))
        assert (error.group, error.code) == ("actor", "callback_timed_out")
        if error.message != "An internal error occurred":
            assert error.message == f"callback `{hook}` timed out after {LIMITS[hook]} ms"
            assert error.metadata == {"callback_name": hook, "duration_ms": LIMITS[hook]}
    clock.took(started, most=conform.limit(LIMITS[hook] / 1000 + 0.7), least=LIMITS[hook] / 1000 - 0.01)
    assert "late" not in await labels(conform)
    assert [one["params"] for one in await play(actor, op("conns"))] == [None]
    await clock.sleep(SLOW / 1000 + 0.5)
    seen = await traced(conform)
    assert [record["label"] for record in seen].count("late") == 1
    assert [record["value"] for record in seen if record["label"] == "onDisconnect"] == [None] * 2
    assert [one["params"] for one in await play(actor, op("conns"))] == [None]


@requirement("CONN-020", "CONN-021", "CONN-032", "CONN-033")
@pytest.mark.parametrize("hook", LIMITS)
async def test_a_hook_over_its_limit_on_connect(conform, hook):
    """On `/connect` the error is a frame before the close, with the text of the hook's limit, or of the whole where both are the same."""
    actor = made(conform, "interpreterTimes", onDisconnect=BY, **{hook: late(hook)})
    await play(actor)
    async with conform.frames(actor, params={"slow": True}, accepted=False, encoding="json") as socket:
        [frame] = await socket.exactly(ErrorFrame, closed=(1011, "actor.callback_timed_out"))
        assert (frame.action_id, frame.error.group, frame.error.code, frame.error.actor) == (None, "actor", "callback_timed_out", None)
        texts = {"An internal error occurred", f"callback `{hook}` timed out after {LIMITS[hook]} ms"}
        whole = {"actor websocket connection setup timed out after 500 ms"} if hook == "onConnect" else set()
        assert frame.error.message in texts | whole


@requirement("CONN-021", "CONN-020")
async def test_all_hooks_together_over_the_limit(conform):
    """Hooks that each keep their limit may take longer together for a call, but not on `/connect`."""
    places = {"onBeforeConnect": [op("wait", ms=280)], "createConnState": [op("wait", ms=380)]}
    actor = made(conform, "interpreterTimes", **places)
    assert await play(actor, op("value", value="served")) == "served"
    async with conform.frames(actor, accepted=False, encoding="json") as socket:
        [frame] = await socket.exactly(ErrorFrame, closed=(1011, "actor.callback_timed_out"))
        assert frame.error.message in {"An internal error occurred", "actor websocket connection setup timed out after 500 ms"}
        assert frame.error.metadata is UNDEFINED


@requirement("CONN-070", "CONN-063", "EVENT-016", "CONN-076")
@timing
@pytest.mark.parametrize("reason", [None, "", "bye", "group.code", "\u00e9"], ids=repr)
async def test_a_disconnect(conform, reason):
    """The socket ends with 1000 and the reason, empty without one; the connection is off the list; its hook is not waited for."""
    hook = [latch("in onDisconnect"), op("broadcast", event="event", args=["left"]), op("incr", at="state.n")]
    actor = made(conform, onDisconnect=[op("if", value=ref("conn.params"), is_="me", then=hook)])
    async with conform.frames(actor, params="me", encoding="json") as leaves, conform.frames(actor, encoding="json") as watcher:
        for socket in (leaves, watcher):
            await socket.subscribe("event")
            await socket.exactly()
        end = op("conn.disconnect", id=leaves.init.connection_id, **({} if reason is None else {"reason": reason}))
        await play(actor, end)
        await leaves.exactly(closed=(1000, reason or ""))
        listed = await play(actor, op("conns"))
        assert sorted(one["isHibernatable"] for one in listed) == [False, True]
        assert leaves.init.connection_id not in {one["id"] for one in listed}
        await conform.latch("in onDisconnect").arrived()
        await watcher.exactly()
        await conform.latch("in onDisconnect").release()
        await watcher.exactly(Event("event", ["left"]))
        assert await play(actor, op("value", value=ref("state.n"))) == 1


@requirement("CONN-071", "CONN-001", "CONN-075")
@timing
async def test_disconnecting_twice(conform, clock):
    """A second disconnect, also at the same time and by the client's own close, changes nothing: one hook runs."""
    actor = made(conform, onDisconnect=[trace("onDisconnect", ref("conn.params"))])
    async with conform.frames(actor, params="me", encoding="json") as socket:
        end = op("conn.disconnect", reason="one")
        await socket.request(1, "exec", [op("all", do=[[end], [op("conn.disconnect", reason="two")]]), end, op("conn.send", event="event")])
        await socket.exactly(closed=(1000, "one"))
    await clock.sleep(0.5)
    assert [record["value"] for record in await traced(conform)] == ["me"]


@requirement("CONN-072", "RAWWS-050", "RAWWS-051", "RAWWS-041", "CONN-071")
@pytest.mark.parametrize("hibernating", [False, True])
async def test_disconnecting_a_raw_socket(conform, eventually, hibernating):
    """It ends with 1000 and the reason; its close event comes once, off the list, then `onDisconnect`; a second disconnect is nothing."""
    close = [op("conns", as_="all"), trace("close", [ref("close.code"), ref("close.reason"), ref("close.wasClean"), ref("all")])]
    heard = [op("conn.disconnect", reason="out"), op("conn.disconnect", reason="again"), trace("heard", ref("message.data"))]
    actor = made(conform, "interpreterHibernating" if hibernating else "interpreter", onMessage=heard, onClose=close,
                 onDisconnect=[trace("onDisconnect", ref("conn.isHibernatable"))], **OPEN)  # fmt: skip
    socket = await open_raw(actor)
    await socket.send("one")
    assert await socket.wait_closed() == (1000, "out")
    seen = await eventually(lambda: traced(conform), until=lambda found: len(found) >= 3, what="the close cycle")
    values = [(record["label"], record["value"]) for record in seen if record["label"] != "heard"]
    assert values == [("close", [1000, "out", True, []]), ("onDisconnect", hibernating)]
    assert [record["value"] for record in seen if record["label"] == "heard"] == ["one"]


@requirement("CONN-076")
@pytest.mark.parametrize("kind", ["user", "internal"])
async def test_a_disconnect_hook_that_fails(conform, kind):
    """It spoils nothing: the call is answered, others are served, what it wrote before stays."""
    actor = made(conform, state={"n": 0}, onDisconnect=[op("incr", at="state.n"), op("throw", kind=kind, message="no")])
    async with conform.frames(actor, encoding="json") as socket:
        for number in range(1, 4):
            assert await play(actor, op("value", value=number)) == number
        await socket.request(1, "exec", [op("value", value=ref("state.n"))])
        await socket.exactly(ActionResponse(1, 3))


@requirement("CONN-076", "CONN-077")
@timing
async def test_a_disconnect_hook_over_its_limit(conform, clock):
    """After `onConnectTimeout` it is no longer waited for: the stop goes on."""
    actor = made(conform, "interpreterTimes")
    await put(actor, "onDisconnect", latch("held"))
    first = await play(actor, op("value", value=ref("vars.start")))
    await conform.latch("held").arrived()
    started = clock.monotonic()
    await conform.rest.sleep_actor(await actor.resolve())
    actor = made(conform, "interpreterTimes")
    assert await play(actor, op("value", value=ref("vars.start"))) != first
    clock.took(started, most=conform.limit(5))  # the grace period is 15 s


@requirement("CONN-077", "SLEEP-010")
@timing
async def test_a_disconnect_hook_keeps_the_actor_awake(conform, boundary, clock):
    """As long as `onDisconnect` runs the actor does not fall asleep by itself; then it does."""
    held = op("if", value=ref("conn.params"), is_="last", then=[latch("held")])
    actor = made(conform, "interpreterSleepy", onDisconnect=[held])
    actor_id = await actor.resolve()
    await play(conform.get_or_create("interpreterSleepy", params="last"))
    await conform.latch("held").arrived()
    await clock.sleep(1.5)  # seven times its idle time
    assert not await boundary.is_asleep(actor_id)
    await conform.latch("held").release()
    await boundary.wait_asleep(actor_id)


@requirement("CONN-077", "CONN-078", "CONN-081", "CONN-082")
@timing
async def test_a_disconnect_hook_holds_the_grace(conform, clock):
    """A stop waits for a running `onDisconnect`; what it writes then is in the final save."""
    hook = [op("if", value=ref("conn.params"), is_="raw", then=[latch("held"), op("set", at="state.left", value=0)])]
    actor = made(conform, onDisconnect=hook, onWebSocket=[op("socket.send", data="open")])
    actor_id = await actor.resolve()
    await play(actor)
    socket = await open_raw(conform.get_or_create("interpreter", params="raw"))
    await conform.rest.sleep_actor(actor_id)
    await conform.latch("held").arrived()
    waiting = conform.spawn(play(made(conform), op("value", value=ref("state.left"))))
    await clock.sleep(1)
    assert not waiting.done()
    await conform.latch("held").release()
    assert await socket.wait_closed() == (1000, "actor.stopped")
    assert await waiting == 0
    assert await play(made(conform), op("value", value=ref("state.left"))) == 0


@requirement("CONN-080", "RAWWS-030")
@timing
@pytest.mark.parametrize("kind", ["client", "socket"])
async def test_a_connection_keeps_the_actor_awake(conform, boundary, clock, kind):
    """An open connection that does nothing prevents idle sleep; when it has gone the idle time begins anew."""
    actor = made(conform, "interpreterSleepy", **OPEN)
    actor_id = await actor.resolve()
    if kind == "client":
        async with conform.frames(actor, encoding="json"):
            await clock.sleep(1.5)
            assert not await boundary.is_asleep(actor_id)
    else:
        socket = await open_raw(actor)
        await clock.sleep(1.5)
        assert not await boundary.is_asleep(actor_id)
        await socket.close()
    await boundary.wait_asleep(actor_id)


@requirement("CONN-081", "CONN-083", "HIB-041", "EVENT-030", "HIB-043", "RAWWS-031")
@timing
async def test_connections_when_the_grace_begins(conform, boundary):
    """Only what cannot hibernate gets `onDisconnect`; sockets are served to the end, then those that cannot stay are closed."""
    places = {"onDisconnect": BY, "onMessage": [op("socket.send", data=ref("message.data"))], **OPEN}
    actor = made(conform, onSleep=[latch("grace"), op("broadcast", event="event", args=["good night"])], **places)
    actor_id = await actor.resolve()
    async with conform.frames(actor, params="client", encoding="json") as client:
        await client.subscribe("event")
        await client.exactly()
        raw = await open_raw(conform.get_or_create("interpreter", params="raw"))
        call = conform.spawn(play(conform.get_or_create("interpreter", params="call"), latch("call"), op("value", value="done")))
        await conform.latch("call").arrived()
        await conform.rest.sleep_actor(actor_id)
        await conform.latch("grace").arrived()
        await raw.send("still there")
        assert await raw.recv() == "still there"
        await conform.latch("call").release()
        assert await call == "done"
        await conform.latch("grace").release()
        assert await raw.wait_closed() == (1000, "actor.stopped")
        await boundary.wait_asleep(actor_id)
        await client.exactly(Event("event", ["good night"]), fence=False)
    ended = sorted(record["value"] for record in await traced(conform) if record["label"] == "onDisconnect" and record["value"] != "client")
    assert ended == ["call", "raw"]
    before = [record for record in await traced(conform) if record["value"] == "client"]
    assert all(record["start"] == 2 for record in before)


@requirement("CONN-096", "CONN-092")
@timing
async def test_a_lost_connection_cancels_nothing(conform):
    """A handler whose caller has gone runs to its end."""
    actor = made(conform)
    async with conform.frames(actor, encoding="json") as socket:
        await socket.request(1, "exec", [latch("held"), op("set", at="state.done", value=True), trace("done")])
        await conform.latch("held").arrived()
        socket.abort()
    await play(actor)
    await conform.latch("held").release()
    await play(actor, op("wait", ms=200))
    assert await labels(conform) == ["done"]
    assert await play(actor, op("value", value=ref("state.done"))) is True


@requirement("CONN-091")
@timing
async def test_liveness_options(conform, clock):
    """An actor with liveness options is served, and a client that answers pings stays connected."""
    actor = made(conform, "interpreterTimes")
    async with conform.frames(actor, encoding="json") as socket:
        for number in range(3):
            await clock.sleep(0.7)
            await socket.request(number, "exec", [op("value", value=number)])
            assert (await socket.answer(number)).output == number
        await socket.exactly(*[ActionResponse(number, number) for number in range(3)])


@requirement("EVENT-031", "SLEEP-055")
@timing
async def test_events_of_leftover_code(conform, boundary, clock):
    """What code of an ended generation emits reaches nobody and spoils nothing."""
    emit = [op("try", do=[op("broadcast", event="event", args=["late"])]), op("try", do=[op("conn.send", event="event", args=["later"])])]
    actor = made(conform)
    async with conform.frames(actor, encoding="json") as socket:
        await socket.subscribe("event")
        await socket.request(1, "exec", [op("detached", do=[op("try", do=[latch("left")]), *emit])])
        assert (await socket.answer(1)).output is None
        await conform.latch("left").arrived()
        await boundary.sleep(actor, via="api")
        # The record shows the sleep from its intent on; only an answer of the next generation shows that the first has ended.
        assert await play(made(conform), op("value", value=1)) == 1
        await conform.latch("left").release()
        await clock.sleep(3)
        await socket.exactly(ActionResponse(1, None), fence=False)
        assert await play(made(conform), op("broadcast", event="event", args=["now"])) is None
        await socket.exactly(Event("event", ["now"]))


@requirement("HIB-012", "CONN-070", "HIB-041")
@timing
@pytest.mark.parametrize("by", ["client", "actor"])
async def test_a_connection_that_ended_before_the_sleep(conform, boundary, clock, by):
    """It is not there after the wake, and its `onDisconnect` runs once in all."""
    actor = made(conform, onDisconnect=[op("if", value=ref("conn.isHibernatable"), then=BY)])
    async with conform.frames(actor, params="gone", encoding="json") as gone, conform.frames(actor, params="kept", encoding="json"):
        await play(actor, op("save", immediate=True))
        if by == "actor":
            await play(actor, op("conn.disconnect", id=gone.init.connection_id))
        else:
            gone.abort()
        await play(actor, op("wait", ms=100))
        await boundary.sleep(actor, via="api")
        actor = made(conform)
        assert [one["params"] for one in await play(actor, op("conns")) if one["isHibernatable"]] == ["kept"]
        await clock.sleep(0.5)
        assert [record["value"] for record in await traced(conform)] == ["gone"]
