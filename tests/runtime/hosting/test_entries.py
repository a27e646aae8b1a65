"""The entries of the one port: where a request goes, and what every answer carries."""

import asyncio
import json

import pytest
from structlog.testing import capture_logs

from runtime.errors import make_error
from runtime.gateway.asgi import CONNECTION
from runtime.gateway.live_actor import Live
from runtime.gateway.rate_limits import NO_RATE_LIMITS, RateLimits
from runtime.gateway.request_limit import RequestLimit
from runtime.gateway.socket_table import SocketTable
from runtime.hosting.standalone.listener.client_address import ClientAddresses
from runtime.hosting.standalone.listener.gateway_routing import Router
from runtime.hosting.standalone.listener.http_entry import HttpEntry
from runtime.hosting.standalone.listener.websocket_entry import WebSocketEntry
from runtime.logs import FAULTS
from runtime.protocol.ids import encode_id
from runtime.replies import Reply

# Fixed, as they stand in the names of tests, which every worker has to find alike.
ACTOR, STRANGER = encode_id(bytes(16), 1), encode_id(bytes([1] * 16), 1)


class Behind:
    """Router's directory, reach, face and REST API in one: answers with the name of whom was asked."""

    def __init__(self):
        self.slots, self.asked = {ACTOR: None}, []

    async def live(self, actor_id, *, skip_ready_wait=False, refused_by=None):
        self.asked.append((actor_id, skip_ready_wait))
        if actor_id != ACTOR:
            raise make_error("actor.not_found")
        return Live(None)

    def most_of_body(self, kind):
        return 1000

    async def answer(self, live, request):
        return Reply(200, (), f"face {request.method} {request.path}?{request.query}".encode())

    async def handle(self, method, path, query, headers, receive, *, local):
        return Reply(200, (), b"rest")


async def ask(path, method="GET", limit=None, **headers):
    behind, sent = Behind(), []
    entry = HttpEntry(behind, Router(behind), behind, behind, limit or RequestLimit(NO_RATE_LIMITS), ClientAddresses())

    async def receive():
        return {"type": "http.request", "body": b""}

    async def send(message):
        sent.append(message)

    raw = [(name.replace("_", "-").encode(), value) for name, value in headers.items()]
    path, _, query = path.encode().partition(b"?")
    await entry({"method": method, "raw_path": path, "query_string": query, "headers": raw}, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"], behind


@pytest.mark.parametrize(
    ("path", "headers", "body"),
    [
        ("/actors", {}, b"rest"),
        ("/request/x", {"x_rivet_target": b"api-public"}, b"rest"),
        (f"/gateway/{ACTOR}/request/a?b=1", {}, b"face GET /request/a?b=1"),
        (f"/gateway/{ACTOR}/health", {"x_rivet_target": b"elsewhere"}, b"face GET /health?"),
        ("/request/x?b=1", {"x_rivet_target": b"actor", "x_rivet_actor": ACTOR.encode()}, b"face GET /request/x?b=1"),
    ],
)
async def test_where_a_request_goes(path, headers, body):
    status, sent, answer, _ = await ask(path, **headers)
    assert (status, answer, len(sent[b"x-rivet-ray-id"])) == (200, body, 30)


@pytest.mark.parametrize(
    ("path", "headers", "name"),
    [
        ("/health/ws", {}, "no_route"),
        ("/gateway/nonsense/health", {}, "internal_error"),
        ("/request", {"x_rivet_target": b"elsewhere"}, "no_route"),
        ("/request", {"x_rivet_target": b"actor"}, "missing_header"),
        ("/action/x", {"x_rivet_target": b"actor", "x_rivet_actor": ACTOR.encode()}, "no_route"),
        (f"/gateway/{STRANGER}/health", {}, "not_found"),
    ],
)
async def test_what_goes_nowhere(path, headers, name):
    _, sent, answer, _ = await ask(path, **headers)
    assert json.loads(answer)["code"] == name
    assert b"x-rivet-ray-id" in sent


async def test_preflights_are_answered_before_anybody_is_asked():
    status, sent, _, behind = await ask(f"/gateway/{ACTOR}/health", "OPTIONS", origin=b"http://o")
    assert (status, sent[b"access-control-allow-origin"], behind.asked) == (204, b"http://o", [])


async def test_the_wait_is_skipped_on_request_only():
    for value, skip in ((b"true", True), (b"false", False)):
        assert (await ask(f"/gateway/{ACTOR}/health", x_rivet_skip_ready_wait=value))[3].asked == [(ACTOR, skip)]


async def test_one_address_has_one_budget():
    limit = RequestLimit(RateLimits(requests=1))
    assert [(await ask("/health", limit=limit))[0] for _ in range(2)] == [200, 429]


@pytest.mark.parametrize(
    ("path", "entries", "close"),
    [
        ("/connect", [], "core.internal_error"),
        ("/health/ws", [], "guard.no_route"),
        ("/connect", ["rivet_target.elsewhere"], "guard.no_route"),
        ("/connect", ["rivet_target.actor"], "guard.missing_header"),
        ("/gateway/nonsense/connect", ["rivet"], "core.internal_error"),
        ("/connect", ["rivet_target.actor", f"rivet_actor.{STRANGER}"], "actor.not_found"),
    ],
)
async def test_upgrades_that_go_nowhere_are_accepted_and_told_why(path, entries, close):
    behind, sent, asked = Behind(), [], []
    entry = WebSocketEntry(
        Router(behind), behind, SocketTable(behind.live), RequestLimit(NO_RATE_LIMITS), NO_RATE_LIMITS, ClientAddresses()
    )

    async def receive():
        # A client that waits for its answer says nothing after its upgrade.
        if asked:
            await asyncio.Event().wait()
        asked.append(1)
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message)

    headers = [(b"sec-websocket-protocol", ",".join(entries).encode())]
    await entry({"raw_path": path.encode(), "query_string": b"", "headers": headers, "subprotocols": entries}, receive, send)
    accepted, closed = sent
    ray = dict(accepted["headers"])[b"x-rivet-ray-id"].decode()
    assert (accepted["type"], closed["code"], closed["reason"]) == ("websocket.accept", 1011, f"{close}#{ray}")


class Broken(Behind):
    """Whatever is asked of it fails, as only a mistake of ours would."""

    def parse(self, path, query):
        raise RuntimeError("mistake")

    async def handle(self, *_request, local):
        raise RuntimeError("mistake")


async def failing_request(path=b"/x" * 5000):
    broken, sent = Broken(), []
    entry = HttpEntry(broken, broken, broken, broken, RequestLimit(NO_RATE_LIMITS), ClientAddresses())

    async def send(message):
        sent.append(message)

    for _ in range(50):
        await entry({"method": "GET", "raw_path": path, "query_string": b"", "headers": []}, None, send)
    return {message["status"] for message in sent if "status" in message}


async def failing_upgrade():
    broken, sent = Broken(), []
    entry = WebSocketEntry(broken, broken, SocketTable(broken.live), RequestLimit(NO_RATE_LIMITS), NO_RATE_LIMITS, ClientAddresses())

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message)

    for _ in range(50):
        await entry({"raw_path": b"/gateway/x", "query_string": b"", "headers": [], "subprotocols": []}, receive, send)
    return {message["code"] for message in sent if "code" in message}


@pytest.mark.parametrize(("fail", "answers"), [(failing_request, {500}), (failing_upgrade, {1011})])
async def test_a_mistake_of_ours_does_not_fill_the_log_however_often_it_is_asked_for(fail, answers):
    with capture_logs() as records:
        assert await fail() == answers
    assert 0 < len(records) <= FAULTS
    assert all(isinstance(record["exc_info"], RuntimeError) and len(record["path"]) < 300 for record in records)


async def test_whoever_runs_an_unnamed_proxy_is_told_when_all_behind_it_are_refused_as_one():
    limit = RequestLimit(RateLimits(requests=1))
    with capture_logs() as records:
        assert [(await ask("/health", limit=limit))[0] for _ in range(3)] == [200, 429, 429]
        assert records == []
        assert (await ask("/health", limit=limit, x_forwarded_for=b"192.0.2.1"))[0] == 429
    assert "trusted_proxies" in records[0]["event"]


class Parted:
    """The connection of a client that may be gone already."""

    on_loss = None

    def __init__(self, *, lost):
        self.lost, self.failed = lost, False

    def fail(self):
        self.failed = True


@pytest.mark.parametrize("lost", [True, False])
async def test_who_is_gone_before_the_answer_is_neither_answered_nor_logged(lost):
    behind, connection = Behind(), Parted(lost=lost)
    entry = HttpEntry(behind, Router(behind), behind, behind, RequestLimit(NO_RATE_LIMITS), ClientAddresses())

    async def receive():
        return {"type": "http.request", "body": b""}

    async def send(message):
        raise RuntimeError("the handler is closed")

    scope = {"method": "GET", "raw_path": b"/health", "query_string": b"", "headers": [], "state": {CONNECTION: connection}}
    with capture_logs() as logs:
        await entry(scope, receive, send)
    assert (connection.failed, bool(logs)) == (not lost, not lost)
