"""HTTP through the tunnel: one message asks, one message answers, or the request is given back."""

from __future__ import annotations

import asyncio
import json

import pytest
from structlog.testing import capture_logs

from runtime.declaration.actions import action
from runtime.declaration.actor import Actor
from runtime.errors import make_error
from runtime.gateway.http_answers import MAX_BODY
from runtime.hosting.engine.ports import TryAgainError
from runtime.hosting.engine.protocol.tunnel import Abort, ResponseStart
from runtime.hosting.engine.tunnel import Tunnel, requests
from runtime.http import Response
from runtime.replies import Reply
from tests.runtime.actor.support import StopReason, virtual
from tests.runtime.hosting.engine.tunnel_parts import FIRST, Engine, FakeFace, FakeLink, FakeReach, TunnelWorld, settled

SECOND = b"\0\0\0\2"


class Parts:
    def __init__(self, most=1000, limit=20_971_520):
        self.reach, self.link, self.face = FakeReach(), FakeLink(limit), FakeFace(most)
        self.tunnel = Tunnel(self.reach, self.link, self.face)
        self.engine = Engine(self.tunnel, self.link)
        self.requests = self.tunnel._requests

    async def answered(self, **asked):
        self.engine.ask(**asked)
        await settled()
        return self.link.kinds()


def error_of(response):
    body = json.loads(response.body)
    return response.status, f"{body['group']}.{body['code']}"


async def test_a_request_is_answered_in_one_message():
    parts = Parts()
    parts.face.answers = lambda live, request: Reply(201, ((b"content-type", b"text/plain"),), request.body)
    assert await parts.answered(method="PUT", path="/request/a?b=1", body=b"given", accept="ü") == [
        ResponseStart(201, {"content-type": "text/plain"}, b"given")
    ]
    request = parts.face.asked[0]
    assert (request.method, request.path, request.query, request.headers) == ("PUT", "/request/a", "b=1", {b"accept": "ü".encode()})
    assert parts.reach.asked == [("a1", False)]


async def test_nothing_to_say_is_an_absent_body():
    parts = Parts()
    parts.face.answers = lambda live, request: Reply(204, (), b"none may be sent")
    assert await parts.answered() == [ResponseStart(204, {}, None)]
    parts.face.answers = lambda live, request: Reply(200)
    assert await parts.answered() == [ResponseStart(200, {}, None)]


async def test_what_a_gateway_would_misread_is_left_out():
    parts = Parts()
    headers = (
        (b"Content-Length", b"7"),
        (b"x-rivet-error", b"guard.service_unavailable"),
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
    )
    parts.face.answers = lambda live, request: Reply(503, headers, b"x")
    with capture_logs() as logs:
        assert await parts.answered() == [ResponseStart(503, {"set-cookie": "b=2"}, b"x")]
    assert [record["event"] for record in logs] == ["an answer has several set-cookie headers, the engine carries one of them"]


async def test_an_answer_that_is_longer_than_a_message_becomes_an_error():
    parts = Parts(limit=3000)
    parts.face.answers = lambda live, request: Reply(200, (), b"x" * 3000)
    assert (await parts.answered())[0].status == 200
    parts.face.answers = lambda live, request: Reply(200, (), b"x" * 3001)
    (told,) = await parts.answered()
    assert error_of(told) == (502, "guard.invalid_response_body")


async def test_an_actor_that_never_lived_here():
    parts = Parts()
    assert await parts.answered(actor="stranger") == [ResponseStart(503, {"x-rivet-error": "envoy.actor_not_found"}, b"Actor not found")]


@pytest.mark.parametrize("refusal", [TryAgainError(), TryAgainError(make_error("actor.destroying")), make_error("actor.stopping")])
async def test_a_generation_on_its_way_out_gives_the_request_back(refusal):
    parts = Parts()
    parts.reach.refusal = refusal
    assert await parts.answered() == [Abort()]


async def test_a_refusal_in_passing_of_the_face_gives_it_back_too():
    parts = Parts()

    def refuse(live, request):
        assert request.passes_on
        raise make_error("actor.stopping")

    parts.face.answers = refuse
    assert await parts.answered() == [Abort()]


async def test_who_skips_the_wait_gets_the_answer_of_this_very_generation():
    parts = Parts()
    await parts.answered(x_rivet_skip_ready_wait="true")
    assert (parts.reach.asked, parts.face.asked[0].passes_on) == ([("a1", True)], False)
    await parts.answered(x_rivet_skip_ready_wait="maybe")
    assert parts.reach.asked[1:] == [("a1", False)]


async def test_errors_of_the_gateway_and_faults_are_answered():
    parts = Parts()
    parts.reach.refusal = make_error("guard.actor_ready_timeout", actor_id="a1")
    assert error_of((await parts.answered())[0]) == (503, "guard.actor_ready_timeout")
    parts.reach.refusal = RuntimeError("of ours")
    with capture_logs() as logs:
        assert error_of((await parts.answered())[0]) == (500, "envoy.fetch_failed")
    assert logs[0]["event"] == "request failed"


async def test_a_body_may_come_in_chunks():
    parts = Parts()
    parts.engine.ask(stream=True, body=b"a")
    parts.engine.chunk(b"b")
    await settled()
    assert not parts.face.asked
    parts.engine.chunk(b"c", finish=True)
    parts.engine.chunk(b"d", finish=True)
    await settled()
    assert [request.body for request in parts.face.asked] == [b"abc"]
    assert len(parts.link.kinds()) == 1
    parts.engine.chunk(b"of nobody")


@virtual
async def test_chunks_that_stay_away_end_the_request():
    parts = Parts()
    parts.engine.ask(stream=True)
    await asyncio.sleep(requests.BODY_TIMEOUT + 1)
    assert error_of(parts.link.kinds()[0]) == (504, "guard.request_timeout")
    assert not parts.requests._open


@pytest.mark.parametrize("stream", [False, True])
async def test_a_body_that_is_too_long_for_its_route_is_the_actors_to_refuse(stream):
    parts = Parts(most=3)
    parts.engine.ask(stream=stream, body=b"long")
    await settled()
    (asked,) = parts.face.asked
    assert (asked.body, asked.oversized) == (b"", True)
    assert len(parts.link.kinds()) == 1


async def test_a_body_that_grows_too_long_is_refused_at_once():
    parts = Parts(most=3)
    parts.engine.ask(stream=True, body=b"lo")
    parts.engine.chunk(b"ng")
    await settled()
    assert parts.face.asked[0].oversized
    parts = Parts(most=3)
    parts.engine.ask(stream=True, content_length=str(MAX_BODY + 1))
    parts.engine.chunk(b"long")
    assert error_of(parts.link.kinds()[0]) == (413, "guard.invalid_request_body")
    assert not parts.face.asked


async def test_a_client_that_gives_up_is_told_to_raw_requests_and_gets_no_answer():
    parts = Parts()

    async def poll(live, request):
        await request.abandoned.wait()
        return Reply(200)

    parts.face.answers = poll
    parts.engine.ask()
    await settled()
    parts.engine.abort()
    await settled()
    assert (parts.link.sent, parts.requests._tasks) == ([], set())
    parts.engine.ask(stream=True)
    parts.engine.abort()
    assert not parts.requests._open
    parts.engine.abort()


async def test_the_end_of_a_generation_ends_its_requests_without_a_word():
    parts = Parts()
    ended = []

    async def long(live, request):
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(request)

    parts.face.answers = long
    parts.engine.ask()
    parts.engine.ask(request=SECOND)
    await settled()
    parts.tunnel.generation_over(("a1", 2))
    await settled()
    assert not ended
    parts.tunnel.generation_over(("a1", 1))
    await settled()
    assert (len(ended), parts.link.sent, parts.requests._open, parts.requests._lives) == (2, [], {}, {})


async def test_the_same_request_once_more_replaces_the_first():
    parts = Parts()
    first = asyncio.Event()

    async def answers(live, request):
        if not first.is_set():
            first.set()
            await asyncio.Event().wait()
        return Reply(200, (), b"second")

    parts.face.answers = answers
    parts.engine.ask()
    await settled()
    assert (await parts.answered()) == [ResponseStart(200, {}, b"second")]
    assert not parts.requests._tasks


async def test_what_is_under_way_is_bounded_in_number_and_bytes(monkeypatch):
    parts = Parts()
    parts.face.answers = lambda live, request: asyncio.Event().wait()
    parts.requests._most = 2
    parts.engine.ask()
    parts.engine.ask(request=SECOND)
    parts.engine.ask(request=b"\0\0\0\3")
    await settled()
    (told,) = parts.link.kinds(b"\0\0\0\3")
    assert error_of(told) == (500, "actor.overloaded")
    await parts.tunnel.close()
    parts = Parts()
    parts.requests._most_bytes = 5
    parts.engine.ask(stream=True, body=b"123")
    parts.engine.ask(body=b"456", request=SECOND)
    assert error_of(parts.link.kinds(SECOND)[0])[1] == "actor.overloaded"
    parts.engine.chunk(b"456")
    assert error_of(parts.link.kinds()[0])[1] == "actor.overloaded"
    assert (parts.requests._bytes, parts.requests._open) == (0, {})


async def test_closing_ends_everything():
    parts = Parts()
    parts.face.answers = lambda live, request: asyncio.Event().wait()
    parts.engine.ask()
    await settled()
    await parts.tunnel.close()
    assert (parts.link.sent, parts.requests._tasks) == ([], set())


class Echo(Actor):
    @action
    def echo(self, c, value):
        return value

    async def on_request(self, c, request):
        return Response(request.body or b"", headers=(("x-own", "1"),))


@virtual
async def test_a_real_actor_answers():
    async with TunnelWorld(Echo) as world:
        await world.start()
        world.engine.ask("POST", "/action/echo", b'{"args":[7]}', actor=world.actor_id)
        await asyncio.sleep(0.1)
        (told,) = world.link.kinds()
        assert (told.status, json.loads(told.body)) == (200, {"output": 7})
        world.engine.ask("POST", "/request/x", b"raw", actor=world.actor_id)
        await asyncio.sleep(0.1)
        assert world.link.kinds() == [ResponseStart(200, {"x-own": "1"}, b"raw")]
        await world.stop(StopReason.SLEEP_INTENT)
        world.engine.ask("POST", "/action/echo", b'{"args":[7]}', actor=world.actor_id)
        await asyncio.sleep(0.1)
        assert world.link.kinds(FIRST) == [Abort()]
