"""Queue sends and raw requests, and what both run on."""

import asyncio
from types import SimpleNamespace

import pytest

from runtime import Actor, Options, Queue, Request, Response
from runtime.actor.calls.queue_sends import QueueSends
from runtime.actor.calls.raw_requests import RawRequests
from runtime.actor.calls.time_limit import LimitedCalls
from runtime.actor.lifecycle.tracked_work import WorkKind
from runtime.protocol.messages import QueueSend
from tests.runtime.calls.fakes import Calling
from tests.runtime.parts import failing, settle, virtual

REQUEST = Request("GET", "http://127.0.0.1/x", {})


class Quiet(Actor):
    options = Options(action_timeout=1.0)
    queues = {"jobs": Queue(can_publish=lambda c: c.conn.params == "friend")}


class Answering(Quiet):
    async def on_request(self, c, request):
        return Response(request.path) if c.request is request else None


class Wrong(Quiet):
    def on_request(self, c):
        return "no response"


def made(actor=Quiet):
    owner = Calling(actor)
    return owner, LimitedCalls(owner, owner.admissions)


@virtual
async def test_work_has_connection_and_request():
    owner, calls = made()

    async def work(context):
        assert owner.work.count(WorkKind.HTTP) == 1
        return context.conn.params, context.request

    assert await calls.run("op", work, "params", REQUEST) == ("params", REQUEST)
    assert (len(owner.ended), owner.work.count(WorkKind.HTTP)) == (1, 0)


@virtual
async def test_over_its_limit_the_call_ends_and_connection_and_work_stay():
    owner, calls = made()

    async def work(context):
        await asyncio.sleep(3)
        owner.aborted = context.aborted

    assert await failing(calls.run("op", work, None, None)) == "actor.action_timed_out"
    assert owner.ended == []
    await asyncio.sleep(3)
    assert owner.aborted
    assert len(owner.ended) == 1


@virtual
async def test_failures_are_the_callers_and_logged():
    owner, calls = made()

    async def work(context):
        raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        await calls.run("op", work, None, None)
    assert owner.log.records[0][2]["call"] == "op"


@virtual
async def test_the_end_of_the_actor_drops_the_reply():
    owner, calls = made()
    call = asyncio.ensure_future(calls.run("op", lambda _: asyncio.sleep(9), None, None))
    await settle()
    owner.work.cancel_all()
    assert await failing(call) == "actor.dropped_reply"


@virtual
async def test_a_queue_send_is_guarded_and_stored():
    sent = []

    async def store(name, body, *, answer=False):
        sent.append((name, body))

    owner, calls = made()
    owner.queue = SimpleNamespace(send=store)
    sends = QueueSends(owner, calls, owner.admissions)
    send = QueueSend(5, False, None)
    assert (await sends.send("jobs", send, "friend", None)).status == "completed"
    assert await failing(sends.send("jobs", send, "foe", None)) == "auth.forbidden"
    assert (await sends.send("undeclared", send, "foe", None)).status == "completed"
    assert sent == [("jobs", 5)]


@virtual
async def test_a_raw_request_is_answered_by_its_handler():
    owner, calls = made(Answering)
    assert (await RawRequests(owner, calls).fetch(REQUEST, None)).body == "/x"
    assert owner.flushes == ["flush"]


@virtual
async def test_without_a_handler_there_is_no_connection():
    owner, calls = made()
    requests = RawRequests(owner, calls)
    assert (await requests.fetch(REQUEST, None)).status == 404
    owner.refusal = "actor.stopping"
    assert await failing(requests.fetch(REQUEST, None)) == "actor.stopping"
    assert owner.ended == []


@virtual
async def test_a_handler_has_to_return_a_response():
    owner, calls = made(Wrong)
    with pytest.raises(TypeError, match="must return a Response"):
        await RawRequests(owner, calls).fetch(REQUEST, None)
