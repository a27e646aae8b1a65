"""Suite wire-errors: which errors keep what they say, with which status, over HTTP and over a connection; what params and bodies mean."""

from __future__ import annotations

import json

import pytest

from client import UNDEFINED
from harness import encodings, requirement, suite
from harness.codec.messages import WireError
from harness.frames import decoded
from harness.testing.codecs import ActionResponse, ErrorFrame
from harness.testing.interpreter import made, op, ref

pytestmark = suite("wire-errors")

MASKED = "An internal error occurred"
SEND = op("queue.send", name="jobs", body="x")
FAILURES = {
    "user": ([op("throw", kind="user", message="No", code="my_code", metadata={"a": 1})], 500, ("user", "my_code", "No", {"a": 1})),
    "user-no-code": ([op("throw", kind="user", message="No")], 500, ("user", "user_error", "No", UNDEFINED)),
    "user-zero": ([op("throw", kind="user", message="No", metadata=0)], 500, ("user", "user_error", "No", 0)),
    "user-false": ([op("throw", kind="user", message="No", metadata=False)], 500, ("user", "user_error", "No", False)),
    "user-empty": ([op("throw", kind="user", message="No", metadata={})], 500, ("user", "user_error", "No", {})),
    "user-no-text": ([op("throw", kind="user", message="No", metadata="")], 500, ("user", "user_error", "No", "")),
    "internal": ([op("throw", kind="internal", message="secret")], 500, ("rivetkit", "internal_error", MASKED, UNDEFINED)),
    "forbidden": ([op("throw", kind="forbidden")], 403, ("auth", "forbidden", "Forbidden", UNDEFINED)),
}


def of(error):
    """What an error says, apart from the actor it names."""
    assert isinstance(error, WireError), error
    return error.group, error.code, error.message, error.metadata


async def both(conform, actor, action, *args):
    """The error of an action over HTTP with its status, and over a connection; they name the same actor."""
    response = await conform.post_action(actor, action, *args)
    async with conform.frames(actor) as socket:
        await socket.request(9, action, *args)
        (frame,) = await socket.exactly(ErrorFrame)
    assert frame.action_id == 9
    error = decoded(response)
    assert frame.error == error
    assert error.actor.actor_id == await actor.resolve()
    return response.status_code, error


@requirement("WIRE-830", "WIRE-831", "WIRE-832", "WIRE-833", "WIRE-834", "WIRE-522", "WIRE-835")
@pytest.mark.parametrize("name", FAILURES)
async def test_errors_of_actor_code(conform, name):
    """A user error says all that was said, falsy metadata included; of any other group and code come through, and no text."""
    program, status, expected = FAILURES[name]
    found, error = await both(conform, made(conform), "exec", program)
    assert (found, of(error)) == (status, expected)
    assert type(error.metadata) is type(expected[3])


@requirement("WIRE-832", "WIRE-831", "WIRE-337")
async def test_errors_of_the_runtime_that_are_public(conform):
    """A full queue and a message too large keep their text and metadata; errors of queues are 400."""
    actor = made(conform, "interpreterSmall")
    full = [op("repeat", times=5, do=[SEND])]
    status, error = await both(conform, actor, "exec", full)
    assert (status, error.group, error.code, error.metadata) == (400, "queue", "full", {"limit": 4})
    assert error.message != MASKED
    status, error = await both(conform, actor, "exec", [op("queue.send", name="jobs", body="x" * 500)])
    assert (status, error.group, error.code) == (400, "queue", "message_too_large")
    assert error.message != MASKED and error.metadata["limit"] == 256


@requirement("WIRE-832", "WIRE-831", "WIRE-830")
async def test_errors_of_schedules(conform):
    """One schedule too many keeps its text."""
    after = op("schedule.after", ms=100_000, do=[op("value", value=1)])
    status, error = await both(conform, made(conform, "interpreterSmall"), "exec", [op("repeat", times=4, do=[after])])
    assert (status, error.group) == (500, "schedule")
    assert error.message != MASKED


@requirement("WIRE-832", "WIRE-831", "WIRE-830")
async def test_errors_of_the_keyvalue_store(conform):
    """They keep their text."""
    status, error = await both(conform, made(conform), "exec", [op("kv.put", key="x" * 5_000, value="y")])
    assert (status, error.group) == (500, "kv")
    assert error.message != MASKED


@requirement("WIRE-306", "WIRE-346", "WIRE-602")
@pytest.mark.parametrize("value", [0, False, "", None, [], {}, ["$$x", 1]], ids=json.dumps)
async def test_falsy_parameters(conform, value):
    """Connection parameters are what was given, however empty, for calls and for sockets; for calls none are null."""
    keep = [op("set", at="state.seen", value=[ref("params")])]
    actor = made(conform, onBeforeConnect=keep, state={"seen": None})
    read = [op("value", value=ref("state.seen"))]
    text = json.dumps(value)
    plain = decoded(await conform.post_action(actor, "exec", read, headers={"x-rivet-conn-params": text}))
    assert plain == [UNPACKED.get(text, value)]
    assert [type(one) for one in plain] == [type(UNPACKED.get(text, value))]
    async with conform.frames(actor, value) as socket:
        await socket.request(1, "exec", read)
        await socket.exactly(ActionResponse(1, [UNPACKED.get(text, value)]))
    assert decoded(await conform.post_action(actor, "exec", read)) == [None]


UNPACKED = {'["$$x", 1]': ["$x", 1]}
"""What the compat layer makes of parameters."""


@requirement("WIRE-306", "WIRE-313", "WIRE-315")
@pytest.mark.parametrize("text", ["{", "", "undefined", "'a'", "1 2"])
async def test_parameters_that_are_no_json(conform, text):
    """They refuse calls and queue sends as undecodable, before anything runs."""
    actor = made(conform, onBeforeConnect=[op("incr", at="state.n")], state={"n": 0})
    headers = {"x-rivet-conn-params": text}
    for response in (
        await conform.post_action(actor, "exec", [], headers=headers),
        await conform.post_queue(actor, "jobs", 1, headers=headers),
    ):
        assert (response.status_code, of(decoded(response))) == (400, ("core", "internal_error", MASKED, UNDEFINED))
    assert decoded(await conform.post_action(actor, "exec", [op("value", value=ref("state.n"))])) == 1


@requirement("WIRE-345", "WIRE-831", "WIRE-833")
@pytest.mark.parametrize("name", ["user", "internal", "forbidden"])
async def test_errors_of_raw_handlers(conform, name):
    """A handler that raises is answered in the encoding that was asked for, with the status of its error."""
    program, status, expected = FAILURES[name]
    response = await conform.request(made(conform, onRequest=program), "/request/x", method="GET")
    assert (response.status_code, of(decoded(response))) == (status, expected)
    assert response.headers["content-type"] == ("application/json" if conform.encoding == "json" else "application/octet-stream")


@requirement("WIRE-346", "WIRE-345")
async def test_parameters_of_raw_requests(conform):
    """The handler's connection has them; undecodable ones fail like any exception, and no hook runs."""
    keep = [op("append", at="state.seen", value=ref("params"))]
    actor = made(conform, onBeforeConnect=keep, onRequest=[op("return", value={"status": 200})], state={"seen": []})
    for text in ('{"a":1}', "0", "null", '""'):
        response = await conform.request(actor, "/request/x", method="GET", headers={"x-rivet-conn-params": text})
        assert response.status_code == 200
    broken = await conform.request(actor, "/request/x", method="GET", headers={"x-rivet-conn-params": "{"})
    assert (broken.status_code, of(decoded(broken))) == (500, ("rivetkit", "internal_error", MASKED, UNDEFINED))
    assert decoded(await conform.post_action(actor, "exec", [op("value", value=ref("state.seen"))])) == [{"a": 1}, 0, None, "", None]


@requirement("WIRE-331", "WIRE-315", "WIRE-332", "WIRE-330")
@encodings("json")
@pytest.mark.parametrize(
    "members",
    ['"timeout":1.5', '"timeout":"1"', '"timeout":-1', '"timeout":true', '"wait":1', '"wait":"true"', '"timeout":[1]'],
)
async def test_members_of_a_queue_send(conform, members):
    """`wait` is a flag and `timeout` a whole number of milliseconds; anything else is undecodable and stores nothing."""
    actor = made(conform)
    response = await conform.request(actor, "/queue/jobs", content=b'{"body":1,%s}' % members.encode())
    assert (response.status_code, of(decoded(response))) == (400, ("core", "internal_error", MASKED, UNDEFINED))
    assert decoded(await conform.post_action(actor, "exec", [op("queue.nextBatch", count=5, timeout=0)])) == []


@requirement("WIRE-331", "WIRE-330", "WIRE-334")
@encodings("json")
@pytest.mark.parametrize(
    ("content", "body"),
    [
        (b"{}", None), (b'{"body":0}', 0), (b'{"body":null,"wait":null,"timeout":null}', None), (b'{"body":"","bogus":1}', ""),
        (b'{"body":1,"name":"other"}', 1), (b'{"body":2,"timeout":5000}', 2), (b'{"body":3,"wait":false,"timeout":0}', 3),
    ],
    ids=["missing", "zero", "nulls", "unknown-member", "name", "timeout", "no-wait"],
)  # fmt: skip
async def test_bodies_of_a_queue_send(conform, content, body):
    """A missing body is null, unknown members and a name mean nothing, and without `wait` nobody waits."""
    actor = made(conform)
    response = await conform.request(actor, "/queue/jobs", content=content)
    assert (response.status_code, response.json()) == (200, {"status": "completed"})
    [message] = decoded(await conform.post_action(actor, "exec", [op("queue.nextBatch", count=5, timeout=0)]))
    assert (message["name"], message["body"]) == ("jobs", body)
    assert message["body"] is body or type(message["body"]) is type(body)


@requirement("WIRE-304", "WIRE-305")
@encodings("json")
async def test_what_chooses_the_encoding(conform):
    """The header alone does; the content type of a request means nothing."""
    actor = made(conform)
    for content_type in ("application/cbor", "application/octet-stream", "text/plain"):
        response = await conform.post_action(actor, "exec", [op("return", value=1)], headers={"content-type": content_type})
        assert (response.status_code, response.json(), response.headers["content-type"]) == (200, {"output": 1}, "application/json")
