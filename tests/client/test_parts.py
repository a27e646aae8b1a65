"""Parts of the client on a ten-line fake of what they use of it: no server, no loopback, no `Client`."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import httpx
import pytest

from client.actions import ActionCaller
from client.calls import GatewayCalls, Request
from client.config import ClientConfig
from client.connections.connection import Connection, ConnectionDisposedError
from client.connections.events import Callbacks, Listeners
from client.connections.link import ConnectionClosedError, Link
from client.opening import connection_params, open_socket
from client.query import GET_OR_CREATE, ActorQuery
from client.queue import QueueSender
from client.retry import RetryPolicy
from runtime.errors import ActorError
from runtime.protocol.encodings import Encoding

pytestmark = pytest.mark.virtual_time
QUERY = ActorQuery("counter", ("a",), GET_OR_CREATE)


def stale(code="stopping"):
    body = {"group": "actor", "code": code, "message": "no", "metadata": None}
    return httpx.Response(503, json=body, headers={"content-type": "application/json"})


class Owner:
    """The client as its parts see it: answers are scripted, requests written down."""

    def __init__(self, *answers):
        self.config = ClientConfig("http://x", encoding=Encoding.JSON)
        self.policy = RetryPolicy()
        self.transport = SimpleNamespace(request=self.request, open=self.open)
        self.rest = SimpleNamespace(get_or_create_actor=self.lookup, get_actor=self.lookup)
        self.answers, self.seen, self.lookups, self.open_with, self.tracked = list(answers), [], 0, [], set()
        self.track, self.untrack = self.tracked.add, self.tracked.discard

    async def request(self, method, url, *, headers, content, within=None):
        self.seen.append(url.removeprefix("http://x/gateway/").partition("?")[0])
        await asyncio.sleep(0.01)
        return self.answers.pop(0)

    async def open(self, url, protocols, headers):
        self.open_with.append((url, list(protocols)))
        return self.answers.pop(0)

    async def lookup(self, *_, **__):
        self.lookups += 1
        await asyncio.sleep(0)
        return {"actor_id": f"id{self.lookups}"}, True

    async def ready(self):
        pass

    def spawn(self, work):
        return asyncio.get_running_loop().create_task(work)


class Line:
    """A socket that says what it was given, and then waits."""

    close_code, close_reason, failure = 1006, "lost", None

    def __init__(self, *frames):
        self.frames, self.sent, self.closed = list(frames), [], []
        self.ended = asyncio.Event()

    async def receive(self):
        if not self.frames:
            await self.ended.wait()
            return None
        return self.frames.pop(0)

    async def send(self, data):
        self.sent.append(data)

    async def close(self, code=1000, reason=""):
        self.closed.append((code, reason))
        self.ended.set()


async def test_concurrent_calls_share_one_lookup():
    owner = Owner()
    calls = GatewayCalls(owner, QUERY, skip_ready_wait=False)
    assert await asyncio.gather(calls.resolve(), calls.resolve(), calls.resolve()) == ["id1"] * 3
    assert (owner.lookups, calls.known_id) == (1, "id1")


async def test_a_cancelled_caller_leaves_the_lookup_to_the_others():
    owner = Owner()
    calls = GatewayCalls(owner, QUERY, skip_ready_wait=False)
    first, second = asyncio.ensure_future(calls.resolve()), asyncio.ensure_future(calls.resolve())
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "id1"
    assert first.cancelled()


async def test_a_stale_id_is_forgotten_and_the_gateway_asked_by_key():
    owner = Owner(stale(), httpx.Response(200, content=b"{}"))
    calls = GatewayCalls(owner, QUERY, skip_ready_wait=False)
    assert (await calls.send(Request("POST", "/action/x", b"", {}))).is_success
    assert owner.seen == ["id1/action/x", "counter/action/x"]
    assert calls.known_id is None


async def test_a_request_that_is_sent_once_returns_its_error():
    owner = Owner(stale())
    response = await GatewayCalls(owner, QUERY, skip_ready_wait=False).send(Request("POST", "/action/x", b"", {}), once=True)
    assert response.status_code == 503


async def test_an_id_is_never_repeated():
    owner = Owner(stale())
    response = await GatewayCalls(owner, ActorQuery("counter", actor_id="me"), skip_ready_wait=False).send(Request("GET", "/", b"", {}))
    assert (response.status_code, owner.seen, owner.lookups) == (503, ["me/"], 0)


async def test_sends_keep_their_order_and_one_goes_at_a_time():
    answers = [httpx.Response(200, json={"status": "completed"}, headers={"content-type": "application/json"}) for _ in range(3)]
    owner = Owner(*answers)
    sender = QueueSender(owner, GatewayCalls(owner, QUERY, skip_ready_wait=False), through_query=True)
    began = asyncio.get_running_loop().time()
    await asyncio.gather(*(sender.send(name, 1, None, wait=False, timeout=None) for name in "abc"))
    assert owner.seen == ["counter/queue/a", "counter/queue/b", "counter/queue/c"]
    assert asyncio.get_running_loop().time() - began == pytest.approx(0.03, abs=0.005)


async def test_a_socket_is_opened_by_key_with_what_the_caller_offers_last():
    owner = Owner("socket")
    assert (
        await open_socket(owner, QUERY, "/websocket/x", encoding="bare", params=None, skip_ready_wait=False, protocols=["mine"]) == "socket"
    )
    ((url, protocols),) = owner.open_with
    assert url.startswith("http://x/gateway/counter/websocket/x?")
    assert protocols[-1] == "mine"


async def test_parameters_come_from_the_provider_or_say_why_not():
    async def given():
        return {"a": 1}

    async def failing():
        raise ValueError("no token")

    assert await connection_params({"b": 2}, None) == {"b": 2}
    assert await connection_params({"b": 2}, given) == {"a": 1}
    with pytest.raises(ActorError, match="no token") as caught:
        await connection_params(None, failing)
    assert caught.value.name == "client.get_params_failed"


async def test_a_link_sends_in_order_and_closes_at_its_end():
    line = Line()
    async with Link(line, Encoding.JSON) as link:
        link.send_frame("one")
        link.send_frame("two")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert (line.sent, line.closed) == (["one", "two"], [(1000, "")])


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("actor.stopped#ray", ActorError),
        ("it went. away", ConnectionClosedError),
        ("", ConnectionClosedError),
        (".x", ConnectionClosedError),
    ],
)
async def test_an_ending_is_structured_only_by_the_form_of_its_reason(reason, kind):
    line = Line()
    line.close_reason = reason
    async with Link(line, Encoding.JSON) as link:
        assert type(link.ending()) is kind


async def test_a_connection_is_kept_by_its_owner_until_it_is_disposed():
    owner = Owner(line := Line())
    conn = Connection(owner, QUERY, None, None)
    assert owner.tracked == {conn}
    waiting = asyncio.ensure_future(conn.action("x"))
    await asyncio.sleep(0.01)
    assert (conn.status, line.sent) == ("connecting", [])
    await conn.dispose()
    assert (conn.status, owner.tracked, line.closed[0]) == ("idle", set(), (1000, "Disposed"))
    with pytest.raises(ConnectionDisposedError):
        await waiting


def test_a_listener_that_removes_itself_leaves_the_others_their_turn():
    seen, callbacks = [], Callbacks()
    remove = callbacks.add(lambda: (seen.append(1), remove()))
    callbacks.add(lambda: seen.append(2))
    callbacks.call()
    callbacks.call()
    assert seen == [1, 2, 2]


def test_the_first_and_the_last_listener_of_an_event_are_told_apart():
    listeners = Listeners()
    one, first = listeners.add("e", print, once=False)
    other, second = listeners.add("e", print, once=False)
    assert (first, second) == (True, False)
    assert (listeners.remove("e", one), listeners.remove("e", other), listeners.remove("e", other)) == (False, True, False)
    assert listeners.names() == []


def test_each_listener_of_an_event_has_arguments_of_its_own():
    """EVENT-004: what one of them does to a list the next one does not see."""
    seen = []

    def listener(items):
        seen.append(list(items))
        items.append("spoiled")

    listeners = Listeners()
    for _ in range(2):
        listeners.add("e", listener, once=True)
    assert listeners.emit("e", [[1]]) and seen == [[1], [1]]


async def test_attribute_access_builds_dotted_names():
    async def action(name, *args):
        return name, args

    caller = ActionCaller(action, "a")
    assert await caller.b.c(1) == ("a.b.c", (1,))
    with pytest.raises(AttributeError):
        caller._private  # noqa: B018 - the access is what is tested
