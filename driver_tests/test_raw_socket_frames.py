"""Suite raw-socket-frames: raw sockets message by message, their close cycle, and what of a socket lasts over a sleep."""

from __future__ import annotations

import pytest

from client.raw_socket import SocketClosedError
from harness import any_encoding, capability, requirement, suite, timing
from harness.testing.codecs import ActionResponse, Event
from harness.testing.interpreter import labels, latch, made, op, play, ref, trace, traced

pytestmark = [suite("raw-socket-frames"), any_encoding]

OPEN = {"onWebSocket": [op("socket.send", data="open")]}
CLOSED = [trace("close", [ref("close.code"), ref("close.reason"), ref("close.wasClean"), ref("close.readyState")])]
ECHO = [op("socket.send", data=ref("message.data"))]


async def opened(actor):
    """A raw socket whose handler has run."""
    socket = await actor.web_socket()
    assert await socket.recv() == "open"
    return socket


async def seen(conform, label):
    """The values recorded under a label."""
    return [record["value"] for record in await traced(conform) if record["label"] == label]


@requirement("RAWWS-028", "RAWWS-040", "RAWWS-041", "RAWWS-051", "RAWWS-027")
@pytest.mark.parametrize(
    ("given", "code", "reason"),
    [
        ({}, 1000, ""),
        ({"code": 1000, "reason": "x"}, 1000, "x"),
        ({"code": 3000}, 3000, ""),
        ({"code": 4001, "reason": "b"}, 4001, "b"),
    ],
    ids=["default", "normal", "code", "both"],
)
async def test_an_actor_that_closes(conform, eventually, given, code, reason):
    """The client sees exactly code and reason, and nothing sent behind; one close event, at a closed socket, then `onDisconnect`."""
    end = [op("socket.state", as_="open"), op("socket.close", **given), op("socket.send", data="late"), op("socket.close", code=4999)]
    actor = made(conform, onMessage=[*end, trace("state", ref("open"))], onClose=CLOSED, onDisconnect=[trace("onDisconnect")], **OPEN)
    socket = await opened(actor)
    await socket.send("end")
    assert await socket.wait_closed() == (code, reason)
    with pytest.raises(SocketClosedError):
        await socket.recv()
    await eventually(lambda: labels(conform), until=lambda found: "onDisconnect" in found and "state" in found, what="the close cycle")
    await eventually(lambda: labels(conform), until=lambda found: "close" in found, what="the close event")
    assert await seen(conform, "state") == [1]
    [(told_code, told_reason, clean, state)] = await seen(conform, "close")
    assert (told_code, told_reason) in {(code, reason), (1000, "")} and (clean, state) == (told_code == 1000, 3)
    order = [label for label in await labels(conform) if label != "state"]
    assert order == ["close", "onDisconnect"] or (not conform.has("close_ack") and sorted(order) == ["close", "onDisconnect"])


@requirement("RAWWS-040", "RAWWS-041", "RAWWS-050", "RAWWS-053", "CONN-063")
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (3001, "x"), (4999, "")])
async def test_a_client_that_closes(conform, eventually, code, reason, fails):
    """The close event has its code and reason and says whether that was clean; a listener that fails stops nothing."""
    failure = [op("throw", message="no")] if fails else []
    actor = made(conform, onClose=[*CLOSED, *failure], onDisconnect=[op("conns", as_="all"), trace("onDisconnect", ref("all"))], **OPEN)
    socket = await opened(actor)
    await socket.close(code, reason)
    await eventually(lambda: labels(conform), until=lambda found: {"close", "onDisconnect"} <= set(found), what="the close cycle")
    assert await seen(conform, "close") == [[code, reason, code == 1000, 3]]
    assert await seen(conform, "onDisconnect") == [[]]


@requirement("RAWWS-020", "RAWWS-021", "RAWWS-006", "HIB-039")
@pytest.mark.parametrize("hibernating", [False, True])
async def test_messages(conform, hibernating):
    """Text stays text and bytes bytes, empty ones too, in order; each has its number, counted from 1."""
    number = [trace("index", ref("message.index")), *ECHO]
    actor = made(conform, "interpreterHibernating" if hibernating else "interpreter", onMessage=number, **OPEN)
    socket = await opened(actor)
    for message in ("", b"", "a", b"\x00\xff", "\u00e9" * 70_000):
        await socket.send(message)
        assert await socket.recv() == message
    assert await seen(conform, "index") == [1, 2, 3, 4, 5]


@requirement("RAWWS-005", "RAWWS-010", "CONN-022")
@timing
async def test_a_handler_that_takes_long(conform, clock):
    """No time-out ends the handler; the socket is open meanwhile, and messages wait for its end, in order."""
    actor = made(conform, "interpreterTimes", onWebSocket=[op("socket.send", data="open"), latch("in handler")], onMessage=ECHO)
    socket = await opened(actor)
    await conform.latch("in handler").arrived()
    for message in ("one", "two"):
        await socket.send(message)
    await clock.sleep(7)  # more than any limit of a hook
    await conform.latch("in handler").release()
    assert [await socket.recv() for _ in range(2)] == ["one", "two"]


@requirement("RAWWS-007", "RAWWS-009", "RAWWS-050")
@pytest.mark.parametrize(("error", "reason"), [({"code": "mine"}, "user.mine"), ({"kind": "internal"}, "rivetkit.internal_error")])
async def test_a_handler_that_fails(conform, eventually, error, reason):
    """The socket ends with the error's name, its close event is a clean one, and `onDisconnect` runs once."""
    actor = made(conform, onWebSocket=[op("throw", **error)], onClose=CLOSED, onDisconnect=[trace("onDisconnect")])
    socket = await actor.web_socket()
    assert await socket.wait_closed() == (1011, reason)
    await eventually(lambda: labels(conform), until=lambda found: "onDisconnect" in found, what="onDisconnect")
    assert await seen(conform, "close") in ([[1000, "", True, 3]], [])
    assert (await labels(conform)).count("onDisconnect") == 1
    assert [one["isHibernatable"] for one in await play(actor, op("conns"))] == [False]


@requirement("RAWWS-026", "RAWWS-052", "RAWWS-030")
@timing
@pytest.mark.parametrize("place", ["onMessage", "onClose"])
async def test_listeners_keep_the_actor_awake(conform, boundary, clock, place):
    """A listener that has not ended prevents the sleep although its socket has gone; then the idle time begins."""
    actor = made(conform, "interpreterSleepy", **{place: [latch("held"), trace("done")]}, **OPEN)
    actor_id = await actor.resolve()
    socket = await opened(actor)
    if place == "onMessage":
        await socket.send("x")
        await conform.latch("held").arrived()
    await socket.close()
    await conform.latch("held").arrived()
    await clock.sleep(1.5)
    assert not await boundary.is_asleep(actor_id)
    await conform.latch("held").release()
    await boundary.wait_asleep(actor_id)
    assert await labels(conform) == ["done"]


@requirement("RAWWS-066", "RAWWS-063", "RAWWS-065", "CONN-078", "RAWWS-032")
@capability("close_ack")
async def test_the_close_cycle_at_the_end(conform):
    """At a sleep the close event comes after `onSleep`, then `onDisconnect`; what both wrote is there after the wake."""
    places = {name: [op("append", at="state.log", value=name)] for name in ("onSleep", "onClose", "onDisconnect")}
    places["onDisconnect"] = [op("if", value=ref("conn.params"), is_="raw", then=places["onDisconnect"])]
    places["onSleep"].insert(0, latch("grace"))
    actor = made(conform, state={"log": []}, **places, **OPEN)
    await play(actor)
    socket = await opened(conform.get_or_create("interpreter", params="raw"))
    await conform.rest.sleep_actor(await actor.resolve())
    await conform.latch("grace").arrived()
    await conform.latch("grace").release()
    assert await socket.wait_closed() == (1000, "actor.stopped")
    assert await play(made(conform), op("value", value=ref("state.log"))) == ["onSleep", "onClose", "onDisconnect"]


# Over a sleep.


@requirement("HIB-052", "HIB-030", "HIB-037", "HIB-039", "HIB-050", "HIB-034")
async def test_a_raw_socket_over_sleeps(conform, boundary):
    """Each wake runs the handler once, on the same connection; numbers go on, and what was handled does not come again."""
    note = [op("incr", at="conn.state.n"), trace("got", [ref("message.data"), ref("message.index"), ref("conn.id"), ref("conn.state.n")])]
    actor = made(conform, "interpreterHibernating", onMessage=[*note, *ECHO], onClose=CLOSED, onDisconnect=[trace("onDisconnect")],
                 onWebSocket=[op("socket.send", data="open"), trace("open", [ref("conn.id"), ref("request.path")])])  # fmt: skip
    socket = await actor.web_socket("/here?x=1")
    assert await socket.recv() == "open"
    for turn in range(3):
        # One after the other: listeners run side by side, and what each of them traces takes its own time.
        for expected in (["open"] * (turn > 0) + [f"{turn}a"], [f"{turn}b"]):
            await socket.send(expected[-1])
            assert [await socket.recv() for _ in expected] == expected
        await boundary.sleep(made(conform, "interpreterHibernating"), via="api")
    got = await seen(conform, "got")
    own = got[0][2]
    sent = [(turn, place, letter) for turn in range(3) for place, letter in ((1, "a"), (2, "b"))]
    assert got == [[f"{turn}{letter}", 2 * turn + place, own, 2 * turn + place] for turn, place, letter in sent]
    assert await seen(conform, "open") == [[own, "/websocket/here"]] * 3
    assert {"close", "onDisconnect"}.isdisjoint(await labels(conform))


@requirement("HIB-055", "HIB-056", "HIB-058", "RAWWS-064")
@timing
async def test_a_raw_socket_that_is_closed_asleep(conform, boundary, clock, eventually, witness):
    """The close wakes the actor: `onDisconnect` once with what the connection was, no close event, no handler; nothing is left."""
    hook = [op("if", value=ref("conn.isHibernatable"), then=[trace("onDisconnect", [ref("conn.params"), ref("conn.state")])])]
    actor = made(conform, "interpreterHibernating", onClose=CLOSED, onDisconnect=hook, createConnState=[op("value", value={"s": 0})],
                 onWebSocket=[op("socket.send", data="open"), trace("open")])  # fmt: skip
    await actor.resolve()
    socket = await opened(conform.get_or_create("interpreterHibernating", params={"p": 0}))
    await boundary.sleep(actor, via="api")
    await clock.sleep(1)  # the generation may still be at its end; the start of who tells is the proof
    await socket.close()
    await eventually(lambda: labels(conform), until=lambda found: "onDisconnect" in found, what="onDisconnect")
    told = next(record for record in await traced(conform) if record["label"] == "onDisconnect")
    if not witness.hit("closed while asleep", told["start"] == 2):
        return
    assert await seen(conform, "onDisconnect") == [[{"p": 0}, {"s": 0}]]
    for _ in range(2):
        actor = made(conform, "interpreterHibernating")
        assert [one["isHibernatable"] for one in await play(actor, op("conns"))] == [False]
        await boundary.sleep(actor, via="api")
    await clock.sleep(0.5)
    assert await labels(conform) == ["open", "onDisconnect"]


@requirement("HIB-045", "HIB-034", "HIB-033", "HIB-021", "HIB-037", "CONN-092")
async def test_requests_behind_a_sleep(conform, boundary):
    """From the request to sleep on nothing is begun: it runs once, in the next generation, in order; nothing is done again."""
    actor = made(conform, state={"log": []}, onSleep=[latch("grace")])
    async with conform.frames(actor, encoding="json") as socket:
        note = lambda number: [op("append", at="state.log", value=[number, ref("vars.start")]), op("value", value=number)]  # noqa: E731
        await socket.request(1, "exec", note(1))
        assert (await socket.answer(1)).output == 1
        await socket.request(2, "exec", [*note(2), op("sleep")])
        await conform.latch("grace").arrived()
        for number in (3, 4):
            await socket.request(number, "exec", note(number))
        await conform.latch("grace").release()
        await socket.exactly(*(ActionResponse(number, output) for number, output in ((1, 1), (2, None), (3, 3), (4, 4))), within=20)
        log = await play(made(conform), op("value", value=ref("state.log")))
        assert [number for number, _ in log] == [1, 2, 3, 4]
        starts = [start for _, start in log]
        assert starts[0] == starts[1] != starts[2] == starts[3]


@requirement("HIB-042", "HIB-046", "HIB-043", "EVENT-017")
async def test_what_grace_changes_of_a_connection(conform, boundary):
    """State written and subscriptions made in grace are there after the wake."""
    write = op("conn.state", id=ref("state.id"), value={"by": "onSleep"})
    actor = made(conform, state={"id": ""}, onSleep=[latch("grace"), write])
    async with conform.frames(actor, encoding="json") as socket:
        await play(actor, op("set", at="state.id", value=socket.init.connection_id))
        actor_id = await actor.resolve()
        await conform.rest.sleep_actor(actor_id)
        await conform.latch("grace").arrived()
        await socket.subscribe("event")
        await conform.latch("grace").release()
        await boundary.wait_asleep(actor_id)
        actor = made(conform)
        [kept] = [one for one in await play(actor, op("conns")) if one["isHibernatable"]]
        assert kept["state"] == {"by": "onSleep"}
        await play(actor, op("broadcast", event="event", args=[0]))
        await socket.exactly(Event("event", [0]))


@requirement("CONN-015", "CONN-051")
async def test_states_are_not_shared(conform):
    """Each connection has a state of its own, whatever it began with."""
    actor = made(conform)
    async with conform.frames(actor, encoding="json") as first, conform.frames(actor, encoding="json") as second:
        for socket, value in ((first, 1), (second, 2)):
            write = op("set", at="conn.state.deep", value={"v": value})
            await socket.request(1, "exec", [write, op("value", value=ref("conn.state"))])
            assert (await socket.answer(1)).output == {"deep": {"v": value}}
        await first.request(2, "exec", [op("value", value=ref("conn.state"))])
        assert (await first.answer(2)).output == {"deep": {"v": 1}}
