"""What a live actor answers, whoever found it: a fake generation, no host."""

import json
from contextlib import nullcontext

import pytest
from structlog.testing import capture_logs

from runtime.errors import ActorError, UserError, make_error, make_refusal
from runtime.gateway.actor_request import ActorRequest
from runtime.gateway.http_answers import ActorFace
from runtime.gateway.live_actor import Live
from runtime.hosting.options import HostOptions
from runtime.http import Response
from runtime.protocol.messages import ActorSpecifier
from runtime.protocol.values import UNDEFINED

OWN = ((b"x-rivet-actor", b"a1"),)


class FakeTask:
    """Answers as told, and remembers what it was asked."""

    def __init__(self, answer=None):
        self.identity = self
        self.actor_id, self.specifier = "a1", ActorSpecifier("a1", 1, "")
        self.work = self.actions = self.queue_sends = self.raw_requests = self
        self.answer = answer
        self.asked = []
        self.regions = 0

    def region(self, _kind):
        self.regions += 1
        return nullcontext()

    async def _answered(self, *asked):
        self.asked.append(asked)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    call_action = send = fetch = _answered


class Figures:
    def render(self):
        return b"figures"


async def ask(task, method, target, body=b"", limits=None, **headers):
    raw = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    face = ActorFace(limits or HostOptions(), Figures())
    return await face.answer(Live(task, OWN), ActorRequest.of(method, target, raw, body))


async def test_an_action_is_asked_and_answered_with_the_headers_of_the_generation():
    task = FakeTask(answer=3)
    reply = await ask(task, "POST", "/action/add?x=1", b'{"args":[1,2]}')
    assert (reply.status, json.loads(reply.body)) == (200, {"output": 3})
    assert reply.headers == ((b"content-type", b"application/json"), *OWN)
    ((name, args, params, request),) = task.asked
    assert (name, args, params, request.url) == ("add", [1, 2], None, "http://127.0.0.1/action/add?x=1")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (make_error("actor.stopping"), 500, "stopping"),
        (make_error("actor.action_not_found", action="add"), 404, "action_not_found"),
        (UserError("no", code="mine"), 500, "mine"),
        (ValueError("secret"), 500, "internal_error"),
    ],
)
async def test_errors_of_the_actor_become_replies(error, status, code):
    reply = await ask(FakeTask(answer=error), "POST", "/action/add", b'{"args":[]}')
    body = json.loads(reply.body)
    assert (reply.status, body["code"]) == (status, code)
    assert "secret" not in body["message"]
    assert OWN[0] in reply.headers


@pytest.mark.parametrize("body", [b"{", b"", b"x" * 11])
async def test_what_cannot_be_read_never_reaches_the_actor(body):
    task = FakeTask()
    reply = await ask(task, "POST", "/action/add", body, limits=HostOptions(max_incoming_message_size=10))
    assert (reply.status, task.asked) == (400, [])


async def test_an_answer_may_be_as_long_as_the_limit_and_no_longer():
    whole = len((await ask(FakeTask(answer="x"), "POST", "/action/a", b'{"args":[]}')).body)
    for limit, status in ((whole, 200), (whole - 1, 400)):
        reply = await ask(FakeTask(answer="x"), "POST", "/action/a", b'{"args":[]}', limits=HostOptions(max_outgoing_message_size=limit))
        assert reply.status == status, reply


async def test_the_method_of_a_route_is_checked_first():
    reply = await ask(FakeTask(), "GET", "/action/add", b"not json")
    assert (reply.status, json.loads(reply.body)["code"]) == (405, "method_not_allowed")


async def test_a_raw_request_passes_unread_and_tells_absent_parameters_from_null():
    task = FakeTask(answer=Response("hi", 201, {"x": "y"}))
    reply = await ask(task, "PURGE", "/request/a/b?c", b"")
    assert (reply.status, reply.headers, reply.body) == (201, ((b"x", b"y"), *OWN), b"hi")
    await ask(task, "GET", "/request", x_rivet_conn_params=b"null")
    (first, absent, _), (second, null, _) = task.asked
    assert (first.method, first.url, first.body, absent) == ("PURGE", "http://127.0.0.1/a/b?c", None, UNDEFINED)
    assert (second.url, null) == ("http://127.0.0.1/", None)


async def test_the_fixed_routes_count_as_work_and_a_scrape_does_not():
    task = FakeTask()
    for path in ("/", "/health", "/metadata"):
        assert (await ask(task, "GET", path)).status == 200
    assert task.regions == 3
    assert (await ask(task, "GET", "/metrics")).body == b"figures"
    assert task.regions == 3
    assert (await ask(task, "GET", "/nothing")).status == 404


@pytest.mark.parametrize("params", ["{", "[" * 5_000, '["$Nope",1]', '["$BigInt","' + "9" * 5_000 + '"]', '"\\ud800"', "1e999", "\ufeff1"])
@pytest.mark.parametrize(("target", "status"), [("/action/add", 400), ("/queue/q", 400), ("/request/x", 500)])
async def test_parameters_that_nobody_can_read_are_answered_and_not_logged(target, status, params):
    task = FakeTask(answer=Response("read"))
    with capture_logs() as logs:
        reply = await ask(task, "POST", target, b"{}", x_rivet_conn_params=params.encode())
    assert (reply.status, json.loads(reply.body)["code"]) == (status, "internal_error")
    assert (logs, task.asked) == ([], [])


@pytest.mark.parametrize("target", ["/action/add", "/queue/q"])
async def test_values_of_an_unknown_tag_are_answered_and_not_logged(target):
    with capture_logs() as logs:
        reply = await ask(FakeTask(), "POST", target, b'{"args":[["$Nope",1]],"body":["$Nope",1]}')
    assert (reply.status, json.loads(reply.body)["code"], logs) == (500, "internal_error", [])


async def test_a_request_that_passes_on_is_handed_back_when_it_is_refused_in_passing():
    face, task = ActorFace(HostOptions(), Figures()), FakeTask(answer=make_refusal("actor.stopping"))
    request = ActorRequest.of("POST", "/action/add", {}, b'{"args":[]}')
    request.passes_on = True
    with pytest.raises(ActorError) as caught:
        await face.answer(Live(task, OWN), request)
    assert caught.value is task.answer
    # What code of the actor raises is an answer, and so is what is no refusal in passing.
    for answer in (make_error("actor.stopping"), make_refusal("actor.destroying")):
        task.answer = answer
        assert (await face.answer(Live(task, OWN), request)).status == 500
