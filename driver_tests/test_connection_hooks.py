"""Suite connection-hooks: what each hook of a connection sees, in which order hooks run, and what a failing one leaves."""

from __future__ import annotations

import uuid

import pytest

from client import UNDEFINED
from driver_tests.falsy import FALSY
from harness import any_encoding, requirement, suite, timing
from harness.codec.messages import ErrorFrame, Init, WireError
from harness.frames import decoded
from harness.testing.codecs import Event
from harness.testing.interpreter import labels, latch, made, op, play, ref, trace, traced

pytestmark = [suite("connection-hooks"), any_encoding]

KINDS = ["client", "socket", "action", "queue", "request"]
HOOKS = ["onBeforeConnect", "createConnState", "onConnect"]
SIGHT = [ref("conn.id"), ref("all"), ref("params"), ref("request.method"), ref("request.path"), ref("conn.state"), ref("conn.params")]


def seen(place, *more):
    """A program that records what a place can see of its connection and its request."""
    return [op("conns", as_="all"), *more, trace(place, SIGHT)]


def absent(value):
    """Whether a program found nothing there."""
    return value is None or value is UNDEFINED


async def open_and_close(conform, kind, params):
    """Make one connection of a kind, use it once, and end it; the answer of a call."""
    actor = conform.get_or_create("interpreter", params=params)
    match kind:
        case "client":
            async with conform.frames(actor, params=params, encoding="json") as socket:
                await socket.request(1, "exec", seen("exec"))
                await socket.answer(1)
        case "socket":
            socket = await actor.web_socket("/here")
            assert await socket.recv() == "open"
            await socket.close()
        case "action":
            await play(actor, *seen("exec"))
        case "queue":
            await actor.send("guarded", 1)
        case "request":
            await actor.fetch("/here")


@requirement("CONN-001", "CONN-010", "CONN-011", "CONN-012", "CONN-014", "CONN-061", "CONN-063")
@pytest.mark.parametrize("kind", KINDS)
async def test_what_hooks_see(conform, eventually, kind):
    """For each kind the hooks run once and in order: at first without connection, then with it in the list, in the end without request."""
    handler = {"socket": "onWebSocket", "queue": "canPublish", "request": "onRequest"}.get(kind, "exec")
    answer = {"socket": [op("socket.send", data="open")], "queue": [op("value", value=True)]}.get(kind, [op("value", value={})])
    places = {name: seen(name) for name in (*HOOKS, "onDisconnect")}
    places["createConnState"] += [op("value", value={"s": 0})]
    if handler != "exec":
        places[handler] = seen(handler) + answer
    await made(conform, **places).resolve()
    await open_and_close(conform, kind, {"p": 0})
    records = await eventually(lambda: traced(conform), until=lambda found: len(found) >= 5, what="onDisconnect")
    assert [record["label"] for record in records] == [*HOOKS, handler, "onDisconnect"]
    values = {record["label"]: record["value"] for record in records}
    own = values["onConnect"][0]
    method, path = {"client": ("GET", "/connect"), "socket": ("GET", "/websocket/here"), "action": ("POST", "/action/exec"),
                    "queue": ("POST", "/queue/guarded"), "request": ("GET", "/request/here")}[kind]  # fmt: skip
    for name in HOOKS[:2]:
        conn, listed, params, *request, state, _ = values[name]
        assert absent(conn) and absent(state) and (listed, params) == ([], {"p": 0}), name
        assert request[0] == method and (kind == "request" or request[1] == path)
    shown = {"id": own, "params": {"p": 0}, "state": {"s": 0}, "isHibernatable": kind == "client"}
    for name in ("onConnect", handler):
        conn, listed, _, *request, state, params = values[name]
        assert (conn, listed, state, params) == (own, [shown], {"s": 0}, {"p": 0}), name
        assert absent(request[0]) if name == "exec" else request[0] == method, name
    conn, listed, _, *request, state, params = values["onDisconnect"]
    assert (conn, listed, state, params) == (own, [], {"s": 0}, {"p": 0})
    assert absent(request[0])


@requirement("CONN-012", "EVENT-008", "EVENT-002", "WIRE-505")
async def test_the_connection_of_onconnect(conform):
    """`c.conn` of `onConnect` is the new connection: what is sent through it comes before `Init`, once."""
    hello = [op("conn.send", event="hello", args=[ref("conn.id"), 0]), op("broadcast", event="hello", args=["all"])]
    actor = made(conform, onConnect=hello)
    async with conform.frames(actor, encoding="json", accepted=False) as socket:
        await socket.accept()
        own = socket.init.connection_id
        assert socket.received[0] == Event("hello", [own, 0]) and isinstance(socket.received[1], Init)
        await socket.exactly(socket.received[0])


@requirement("CONN-013", "CONN-052")
async def test_hooks_change_the_state(conform, boundary):
    """State that the hooks write is seen by the next one, by its state-change hook, and after a sleep."""
    write = [op("append", at="state.log", value="x")]
    actor = made(
        conform, state={"log": []}, onStateChange=[op("incr", at="vars.changes")], **dict.fromkeys((*HOOKS, "onDisconnect"), write)
    )
    log, changes = await play(actor, op("value", value=[ref("state.log"), ref("vars.changes")]))
    assert (log, changes) == (["x"] * 3, 3)
    await boundary.sleep(actor, via="api")
    assert await play(made(conform), op("value", value=ref("state.log"))) == ["x"] * 7


@requirement("CONN-030", "CONN-031", "CONN-033", "ACCESS-001", "ACCESS-003", "RAWWS-009")
@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", ["user", "forbidden", "internal"])
async def test_a_hook_that_refuses(conform, eventually, kind, hook, error):
    """The error of any hook ends any kind the way it is said: nothing later runs, nothing is listed, and the next one is served."""
    thrown = {"user": {"message": "no", "code": "mine", "metadata": {"m": 0}}, "forbidden": {"kind": "forbidden"},
              "internal": {"kind": "internal", "message": "secret"}}[error]  # fmt: skip
    told = {"user": ("user", "mine", "no", {"m": 0}), "forbidden": ("auth", "forbidden", "Forbidden", UNDEFINED),
            "internal": ("rivetkit", "internal_error", "An internal error occurred", UNDEFINED)}[error]  # fmt: skip
    refuse = op("if", value=ref("params.bad" if hook != "onConnect" else "conn.params.bad"), then=[op("throw", **thrown)])
    places = {name: [trace(name), *([refuse] if name == hook else [])] for name in HOOKS}
    actor = made(conform, onDisconnect=[trace("onDisconnect")], canPublish=[op("value", value=True)], onWebSocket=[trace("served")],
                 onRequest=[trace("served")], **places)  # fmt: skip
    await actor.resolve()
    reason = f"{told[0]}.{told[1]}"
    bad = {"x-rivet-conn-params": '{"bad":true}', "x-rivet-encoding": "json"}
    if kind == "client":
        async with conform.frames(actor, params={"bad": True}, accepted=False, encoding="json") as socket:
            [frame] = await socket.exactly(ErrorFrame, closed=(1011, reason))
            if error != "internal":
                assert frame.error == WireError(*told, frame.error.actor) and frame.action_id is None
    elif kind == "socket":
        socket = await conform.get_or_create("interpreter", params={"bad": True}).web_socket()
        assert await socket.wait_closed() == (1011, reason)
    else:
        path, body = {"action": ("/action/exec", b'{"args":[[]]}'), "queue": ("/queue/guarded", b"{}"), "request": ("/request", b"")}[kind]
        response = await conform.request(actor, path, content=body, headers=bad, encoding="json")
        failure = decoded(response)
        assert response.status_code == (403 if error == "forbidden" else 500)
        assert (failure.group, failure.code, failure.message, failure.metadata) == told
    expected = HOOKS[: HOOKS.index(hook) + 1]
    assert await labels(conform) == expected
    assert [one["params"] for one in await play(actor, op("conns"))] == [None]
    seen_now = await eventually(lambda: labels(conform), until=lambda found: len(found) >= len(expected) + 4, what="onDisconnect")
    assert seen_now == [*expected, *HOOKS, "onDisconnect"]


@requirement("CONN-011", "CONN-010", "CONN-016")
@timing
@pytest.mark.parametrize("hook", HOOKS)
async def test_while_a_hook_runs(conform, hook):
    """In the list only from `onConnect` on; not served before the hooks have ended."""
    held = op("if", value=ref("params.held" if hook != "onConnect" else "conn.params.held"), then=[latch("in hook")])
    actor = made(conform, **{hook: [held]})
    await actor.resolve()
    async with conform.frames(actor, params={"held": True}, accepted=False, encoding="json") as socket:
        await socket.request(1, "exec", [op("value", value="served")])
        await conform.latch("in hook").arrived()
        listed = [one["params"] for one in await play(actor, op("conns")) if one["isHibernatable"]]
        assert listed == ([{"held": True}] if hook == "onConnect" else [])
        await conform.latch("in hook").release()
        await socket.accept()
        assert (await socket.answer(1)).output == "served"
        assert isinstance(socket.received[0], Init)


@requirement("CONN-018", "CONN-016", "CONN-001")
@timing
@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("fails", [False, True])
async def test_a_client_that_leaves_in_a_hook(conform, eventually, hook, fails):
    """The hooks run to their end; `onDisconnect` follows `onConnect`, and comes at all only if they succeeded."""
    bad = "params.held" if hook != "onConnect" else "conn.params.held"
    end = [op("throw", message="no")] if fails else []
    places = {name: [trace(name)] for name in HOOKS}
    places[hook] = [op("if", value=ref(bad), then=[latch("in hook"), trace(hook), *end])]
    places["onDisconnect"] = [op("if", value=ref("conn.params.held"), then=[trace("onDisconnect")])]
    actor = made(conform, **places)
    await actor.resolve()
    async with conform.frames(actor, params={"held": True}, accepted=False, encoding="json") as socket:
        await conform.latch("in hook").arrived()
        socket.abort()
    await conform.latch("in hook").release()
    expected = HOOKS[: HOOKS.index(hook) + 1] if fails else [*HOOKS, "onDisconnect"]
    await eventually(lambda: labels(conform), until=lambda found: len(found) >= len(expected), what="the hooks")
    assert (await labels(conform))[: len(expected)] == expected
    listed = await play(actor, op("conns"))
    assert [one["params"] for one in listed] == [None]
    assert "onDisconnect" not in (await labels(conform))[len(expected) :]


@requirement("CONN-016", "CONN-018", "CONN-070")
@timing
async def test_a_disconnect_in_the_connect_hook(conform, clock, eventually):
    """`onDisconnect` of a connection that is disconnected while its `onConnect` runs waits for the end of that."""
    held = [op("if", value=ref("conn.params"), is_="me", then=[trace("began"), latch("in hook"), trace("ended")])]
    actor = made(conform, onConnect=held, onDisconnect=[op("if", value=ref("conn.params"), is_="me", then=[trace("onDisconnect")])])
    await actor.resolve()
    async with conform.frames(actor, params="me", accepted=False, encoding="json"):
        await conform.latch("in hook").arrived()
        await play(
            actor, op("conns.each", do=[op("if", value=ref("conn.params"), is_="me", then=[op("conn.disconnect", id=ref("conn.id"))])])
        )
        await clock.sleep(0.5)
        assert await labels(conform) == ["began"]
        await conform.latch("in hook").release()
        await eventually(lambda: labels(conform), until=lambda found: len(found) >= 3, what="onDisconnect")
    assert await labels(conform) == ["began", "ended", "onDisconnect"]


@requirement("CONN-040", "CONN-044", "CONN-046")
@pytest.mark.parametrize(
    "value", [*FALSY.values(), "a+b c%20d/e", {"deep": [{"$": "x"}, None]}, "x" * 5000], ids=[*FALSY, "text", "deep", "long"]
)
async def test_parameters(conform, value):
    """They reach the actor as they were sent on every surface, and a raw socket's too."""
    actor = made(conform, onRequest=[op("value", value={"body": ref("conn.params")})], onWebSocket=[trace("socket", ref("conn.params"))])
    handle = conform.get_or_create("interpreter", params=value) if value is not None else actor
    async with conform.frames(actor, params=value, encoding="json") as socket:
        await socket.request(1, "exec", [op("value", value=ref("conn.params"))])
        assert (await socket.answer(1)).output == value
    assert await play(handle, op("value", value=ref("conn.params"))) == value


@requirement("CONN-040", "CONN-044", "CONN-050", "CONN-051", "HIB-050", "HIB-041")
async def test_a_connection_over_a_sleep(conform, boundary):
    """Id, parameters and state of a connection are the same after a wake, in the start hook, too, and no hook of it runs again."""
    places = {name: [trace(name, ref("conn.id"))] for name in (*HOOKS, "onDisconnect")}
    actor = made(conform, onWake=[op("conns", as_="all"), op("set", at="vars.found", value=ref("all"))], **places)
    async with conform.frames(actor, params=[0, {"a": None}], encoding="json") as socket:
        own = socket.init.connection_id
        assert str(uuid.UUID(own)) == own
        await socket.request(1, "exec", [op("conn.state", value={"n": [0]}), op("append", at="conn.state.n", value="")])
        await socket.answer(1)
        before = await labels(conform)
        await boundary.sleep(actor, via="api")
        kept = {"id": own, "params": [0, {"a": None}], "state": {"n": [0, ""]}, "isHibernatable": True}
        await socket.request(2, "exec", [op("value", value=[ref("vars.found"), ref("conn")])])
        assert (await socket.answer(2)).output == [[kept], kept]
        assert await labels(conform) == before == HOOKS
        await socket.exactly(*([lambda _: True] * 2))
    async with conform.frames(conform.get_or_create("interpreter"), encoding="json") as again:
        assert again.init.connection_id != own


@requirement("CONN-054")
@pytest.mark.parametrize("nested", [False, True])
async def test_state_that_cannot_be_stored(conform, expect_error, nested):
    """It is refused when it is written: the call fails, masked, and the state is what it was."""
    actor = made(conform, createConnState=[op("value", value={"n": 0})])
    write = op("set", at="conn.state.n" if nested else "conn.state", value={"$function": 0})
    async with conform.connected(actor) as connection:
        async with expect_error("rivetkit", "internal_error") as caught:
            await play(connection, write)
        assert caught.message == "An internal error occurred"
        assert await play(connection, op("value", value=ref("conn.state"))) == {"n": 0}


@requirement("CONN-055", "CONN-056")
async def test_connection_state_and_the_state_change_hook(conform):
    """Writing a connection's state causes no state change, and in the state-change hook it is refused."""
    write = op("conn.state", id=ref("state.id"), value={"n": 1})
    hook = [op("incr", at="vars.changes"), op("if", value=ref("state.id"), is_="", else_=[
        op("try", do=[write], as_="tried"), op("set", at="vars.tried", value=ref("tried"))])]  # fmt: skip
    actor = made(conform, state={"id": ""}, createConnState=[op("value", value={"n": 0})], onStateChange=hook)
    async with conform.connected(actor) as connection:
        await play(connection, op("set", at="vars.changes", value=0))
        await play(connection, op("set", at="conn.state.n", value=5), op("conn.state", value={"n": 6}))
        assert await play(connection, op("value", value=[ref("vars.changes"), ref("conn.state")])) == [0, {"n": 6}]
        await play(connection, op("set", at="state.id", value=ref("conn.id")))
        changes, tried, state = await play(connection, op("value", value=[ref("vars.changes"), ref("vars.tried"), ref("conn.state")]))
        assert (changes, tried["ok"], state) == (1, False, {"n": 6})
        assert (tried["error"]["group"], tried["error"]["code"]) == ("actor", "state_mutation_reentrant")


@requirement("CONN-062", "CONN-060")
@timing
async def test_going_through_the_list(conform):
    """While the list is gone through connections come and go: each that was there is visited once, and nothing fails."""
    actor = made(conform)
    async with conform.frames(actor, params=1, encoding="json") as first, conform.frames(actor, params=2, encoding="json") as second:
        each = op("conns.each", do=[latch("each"), op("value", value=ref("conn.id"))])
        walk = conform.spawn(play(actor, each))
        await conform.latch("each").arrived()
        async with conform.frames(actor, params=3, encoding="json"):
            ends = [op("try", do=[op("conn.disconnect", id=one.init.connection_id)]) for one in (first, second)]
            await play(actor, *ends)
            await conform.latch("each").release()
            visited = await walk
        gone = {first.init.connection_id, second.init.connection_id}
        assert len(visited) == len(set(visited)) and set(visited) & gone


@requirement("CONN-004", "RAWHTTP-010")
async def test_a_request_that_nobody_handles(conform, expect_error):
    """An actor without request handler runs no hook for a raw request: a refusing one is not asked, no connection is counted."""
    await conform.get_or_create("accessControlActor").resolve()
    actor = conform.get_or_create("connStateActor", params={"username": "me"})
    async with conform.frames(actor, encoding="json") as watcher:
        await watcher.subscribe("userConnected")
        await watcher.subscribe("userDisconnected")
        await watcher.exactly(Event, Event)
        response = await actor.fetch("/anything")
        assert (response.status_code, response.content) == (404, b"")
        await watcher.exactly()
