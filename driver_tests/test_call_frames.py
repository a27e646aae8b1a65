"""Suite call-frames: what an action call sends back, over a connection and over HTTP: values, ids, errors, sizes."""

from __future__ import annotations

import uuid

import pytest

from client import UNDEFINED
from harness import encodings, requirement, suite, timing
from harness.codec.documents import dump_document, dump_value
from harness.codec.messages import WireError
from harness.frames import decoded
from harness.testing.codecs import ActionRequest, ActionResponse, ErrorFrame, Init, Writer, encode_to_server, same

pytestmark = suite("call-frames")

FALSY = {
    "zero": 0,
    "false": False,
    "empty-text": "",
    "null": None,
    "empty-list": [],
    "empty-object": {},
    "list-of-null": [None],
    "list-of-list": [[]],
    "undefined": UNDEFINED,
}
IDS = [0, 1, 127, 128, 255, 2**16, 2**31, 2**32, 2**53 - 1, 2**53 + 1, 2**63 - 1]
INCOMING = 65_536
OUTGOING = 1_048_576
MASKED = "An internal error occurred"


def of(answer):
    """What an error says, apart from the actor it names; any other answer is itself."""
    return (answer.group, answer.code, answer.message, answer.metadata) if isinstance(answer, WireError) else answer


def single(encoding, value):
    """An action request whose `args` is this value and no list of arguments."""
    if encoding == "bare":
        return b"\x04\x00" + Writer().data(dump_value(value)).finish()
    return dump_document({"args": value}, encoding)


@requirement("WIRE-316", "WIRE-420", "WIRE-406")
@pytest.mark.parametrize("value", FALSY.values(), ids=FALSY)
async def test_falsy_arguments(conform, value):
    """A single falsy argument is an argument and comes back as what it is, over a connection and over HTTP."""
    if value is UNDEFINED and conform.encoding == "cbor":
        value = [UNDEFINED]  # a request in cbor may lose a bare `undefined` at its end
    actor = conform.get_or_create("largePayloadActor")
    async with conform.frames(actor) as socket:
        await socket.request(0, "echo", value)
        await socket.exactly(ActionResponse(0, value))
    response = await conform.post_action(actor, "echo", value)
    assert response.status_code == 200
    assert same(decoded(response), value), decoded(response)


@requirement("WIRE-316")
@pytest.mark.parametrize("value", [0, False, "", 7, "text", {}, {"a": 0}], ids=repr)
async def test_arguments_that_are_no_list(conform, value):
    """A value in the place of the argument list is the one argument, falsy ones too."""
    actor = conform.get_or_create("largePayloadActor")
    response = await conform.post_action(actor, "echo", content=single(conform.encoding, value))
    assert response.status_code == 200
    assert same(decoded(response), value), decoded(response)


@requirement("WIRE-316")
async def test_arguments_that_are_not_given(conform):
    """No list, null and an empty list are no arguments, so the handler's default counts; a falsy argument is not a missing one."""
    actor = conform.get_or_create("syncActionActor")
    total = 0
    absent = b"\x04\x00\x01\xf6" if conform.encoding == "bare" else dump_document({}, conform.encoding)
    for content in (absent, single(conform.encoding, None), single(conform.encoding, [])):
        total += 1
        assert decoded(await conform.post_action(actor, "increment", content=content)) == total
    for content in (single(conform.encoding, [0]), single(conform.encoding, 0)):
        assert decoded(await conform.post_action(actor, "increment", content=content)) == total
    async with conform.frames(actor) as socket:
        await socket.request(1, "increment")
        await socket.exactly(ActionResponse(1, total + 1))
        await socket.request(2, "increment", 0)
        await socket.exactly(ActionResponse(2, total + 1))


@requirement("WIRE-521", "WIRE-520", "WIRE-421", "WIRE-422", "CONN-092")
async def test_ids_come_back(conform):
    """Every unsigned id, zero included, is that of the response and of the error, and nothing else comes."""
    actor = conform.get_or_create("largePayloadActor")
    async with conform.frames(actor) as socket:
        for number in IDS:
            await socket.request(number, "echo", "x")
            await socket.exactly(ActionResponse(number, "x"))
            await socket.request(number, "noSuchAction")
            (refused,) = await socket.exactly(ErrorFrame)
            assert refused.action_id == number and type(refused.action_id) is int


@requirement("WIRE-505", "CONN-050", "WIRE-153", "WIRE-504")
async def test_the_first_message(conform):
    """An accepted connection gets `Init` with the actor's id and a random UUID of its own, which is the connection's id for the actor."""
    actor = conform.get_or_create("connStateActor")
    actor_id, seen = await actor.resolve(), set()
    for number in range(3):
        async with conform.frames(await actor.resolve(), accepted=False) as socket:
            await socket.accept()
            assert socket.init == Init(actor_id, str(uuid.UUID(socket.init.connection_id, version=4)))
            assert [one for one in socket.received if isinstance(one, Init)] == [socket.init]
            await socket.request(number, "getConnectionState")
            assert (await socket.answer(number)).output["id"] == socket.init.connection_id
            seen.add(socket.init.connection_id)
    assert len(seen) == 3
    async with conform.frames(conform.get_or_create("counter")) as socket:
        await socket.exactly()


def specified(error, actor_id, generation=1):
    """Whether an error names this actor."""
    return (error.actor.actor_id, error.actor.generation) == (actor_id, generation)


NO_ACTION = ("actor", "action_not_found", "Action `noSuch` was not found.", UNDEFINED)
FAILURES = {
    "plain": ("throwSimpleError", [], 500, ("user", "user_error", "Simple error message", UNDEFINED)),
    "internal": ("throwInternalError", [], 500, ("rivetkit", "internal_error", MASKED, UNDEFINED)),
    "unknown": ("noSuch", [1], 404, NO_ACTION),
    "timed-out": ("timeoutAction", [], 408, ("actor", "action_timed_out", "Action timed out", UNDEFINED)),
}
ACTION_TIMEOUT = 0.5
"""Seconds an action of errorHandlingActor may take."""


@requirement("WIRE-522", "WIRE-830", "WIRE-831", "WIRE-832", "WIRE-833", "WIRE-835", "CONN-094", "CONN-095", "WIRE-317")
@timing
@pytest.mark.parametrize("name", FAILURES)
async def test_errors_of_actions(conform, clock, name):
    """A failure has exactly this group, code, message, metadata and actor, over both ways, and its status over HTTP."""
    action, args, status, expected = FAILURES[name]
    actor = conform.get_or_create("errorHandlingActor")
    actor_id = await actor.resolve()
    async with conform.frames(actor) as socket:
        started = clock.monotonic()
        await socket.request(3, action, *args)
        (frame,) = await socket.exactly(ErrorFrame)
        clock.took(started, conform.limit(5))
        (came,) = [seen.at for seen in socket.transcript if seen.message is frame]
        assert came - started >= (ACTION_TIMEOUT if name == "timed-out" else 0)
        assert (frame.action_id, of(frame.error)) == (3, expected)
        assert specified(frame.error, actor_id)
        await socket.request(4, "successfulAction")
        await socket.exactly(ActionResponse(4, "success"))
    response = await conform.post_action(actor, action, *args)
    error = decoded(response)
    assert (response.status_code, of(error)) == (status, expected)
    assert specified(error, actor_id)
    assert frame.error == error
    assert (response.headers["x-rivet-actor"], response.headers["x-rivet-actor-generation"]) == (actor_id, "1")


@requirement("WIRE-832", "WIRE-834", "WIRE-831")
async def test_metadata_of_a_user_error(conform):
    """A user error keeps its code, message and the members of its metadata; its status over HTTP is 500."""
    actor = conform.get_or_create("errorHandlingActor")
    response = await conform.post_action(actor, "throwDetailedError")
    async with conform.frames(actor) as socket:
        await socket.request(1, "throwDetailedError")
        (frame,) = await socket.exactly(ErrorFrame)
    for error in (decoded(response), frame.error):
        assert (error.group, error.code, error.message) == ("user", "detailed_error", "Detailed error message")
        assert error.metadata.keys() == {"reason", "timestamp"} and error.metadata["reason"] == "test"
    assert response.status_code == 500


@requirement("WIRE-163", "WIRE-254", "WIRE-522", "WIRE-835")
@pytest.mark.parametrize(
    ("suffix", "written"),
    [("a/b", "a\\/b"), ("", "\\0"), ("a\\b", "a\\\\b"), ("h\u00e9", "h\u00e9")],
    ids=["slash", "empty", "backslash", "text"],
)
async def test_the_key_of_an_error(conform, suffix, written):
    """The actor of an error has its serialized key, parts and escapes included, over both ways."""
    key = conform.unique_key(suffix)
    actor = conform.get_or_create("errorHandlingActor", key)
    error = decoded(await conform.post_action(actor, "throwSimpleError"))
    assert error.actor.key == f"{key[0]}/{written}"
    async with conform.frames(actor) as socket:
        await socket.request(1, "throwSimpleError")
        (frame,) = await socket.exactly(ErrorFrame)
        assert frame.error.actor == error.actor


@requirement("WIRE-506", "CONN-030", "CONN-032", "CONN-033", "CONN-035", "WIRE-540")
async def test_a_refused_connection(conform):
    """It gets one error with null id, all that the hook said and no actor, then the close with its name; no `Init`."""
    actor = conform.get_or_create("beforeConnectRejectActor")
    async with conform.frames(actor, {"shouldReject": True}, accepted=False) as socket:
        (frame,) = await socket.exactly(ErrorFrame, closed=(1011, "user.connection_rejected"))
    assert (frame.action_id, frame.error.actor) == (None, None)
    assert of(frame.error) == ("user", "connection_rejected", "Connection rejected by policy", {"reason": "test"})
    async with conform.frames(actor, {"shouldReject": False}) as socket:
        await socket.request(0, "ping")
        await socket.exactly(ActionResponse(0, "pong"))


@requirement("WIRE-311", "CONN-030", "WIRE-832")
async def test_a_refused_call(conform):
    """The same refusal over HTTP is the error of the call, with its actor."""
    actor = conform.get_or_create("beforeConnectRejectActor")
    actor_id = await actor.resolve()
    response = await conform.post_action(actor, "ping", headers={"x-rivet-conn-params": '{"shouldReject":true}'})
    error = decoded(response)
    assert (response.status_code, of(error)) == (
        500,
        ("user", "connection_rejected", "Connection rejected by policy", {"reason": "test"}),
    )
    assert specified(error, actor_id)


@requirement("WIRE-317", "WIRE-521")
@pytest.mark.parametrize(
    "name", ["Increment", "increment ", "", "state", "onWake", "on_wake", "options", "__init__", "increment.x", "name"]
)
async def test_only_declared_actions_are_actions(conform, name):
    """A name that only resembles an action, or names another part of the actor, is not found and has no effect."""
    actor = conform.get_or_create("counter")
    async with conform.frames(actor) as socket:
        await socket.subscribe("newCount")
        await socket.request(1, name, 5)
        (frame,) = await socket.exactly(ErrorFrame)
        assert (frame.action_id, of(frame.error)) == (1, ("actor", "action_not_found", f"Action `{name}` was not found.", UNDEFINED))
        await socket.request(2, "getCount")
        await socket.exactly(ActionResponse(2, 0))


@requirement("WIRE-334", "WIRE-310", "WIRE-521")
async def test_nothing_and_null_are_two_results(conform):
    """An action that returns nothing answers `undefined`, one that returns null answers null, over both ways."""
    echo, void = conform.get_or_create("largePayloadActor"), conform.get_or_create("syncActionActor")
    assert decoded(await conform.post_action(void, "reset")) is UNDEFINED
    assert decoded(await conform.post_action(echo, "echo", None)) is None
    async with conform.frames(void) as one, conform.frames(echo) as other:
        await one.request(0, "reset")
        await one.exactly(ActionResponse(0, UNDEFINED))
        await other.request(0, "echo", None)
        await other.exactly(ActionResponse(0, None))


def padded(size, make):
    """A message of exactly `size` bytes: `make` gets a text; two-byte characters fill it, so that it has fewer characters than bytes."""
    room = size - len(_bytes(make("\u00e9" * 20_000)))
    text = "\u00e9" * (20_000 + room // 2) + "x" * (room % 2)
    message = make(text)
    assert len(_bytes(message)) == size
    return message, text


def _bytes(message):
    return message.encode() if isinstance(message, str) else message


@requirement("WIRE-529", "WIRE-981", "CONN-097")
@pytest.mark.parametrize("surplus", [-1, 0, 1])
async def test_size_of_a_frame(conform, surplus):
    """A frame of the limit in bytes passes; one byte more closes the connection, and takes the actions in flight along unanswered."""
    actor = conform.get_or_create("largePayloadActor")
    frame, text = padded(INCOMING + surplus, lambda text: encode_to_server(ActionRequest(1, "echo", [text]), conform.encoding))
    assert len(text) < INCOMING - 20_000
    async with conform.frames(actor) as socket:
        await socket.send(frame)
        if surplus <= 0:
            await socket.exactly(ActionResponse(1, text))
        else:
            await socket.exactly(closed=(1011, "message.incoming_too_long"))


@requirement("WIRE-529", "CONN-097")
async def test_a_frame_too_long_ends_the_actions_in_flight(conform):
    """Actions in flight on a connection that sent too much have no answer; other connections go on."""
    actor = conform.get_or_create("concurrentActionActor")
    async with conform.frames(actor) as socket, conform.frames(actor) as other:
        await socket.request(1, "runWithDelay", "a", 300)
        await other.request(1, "runWithDelay", "b", 300)
        await socket.send("x" * (INCOMING + 1) if conform.encoding == "json" else b"x" * (INCOMING + 1))
        await socket.exactly(closed=(1011, "message.incoming_too_long"))
        await other.exactly(ActionResponse(1, "b"))


@requirement("WIRE-314", "WIRE-981", "WIRE-831")
@pytest.mark.parametrize("surplus", [-1, 0, 1])
async def test_size_of_a_body(conform, surplus):
    """A body of the limit in bytes passes; one byte more is refused with this error before any hook runs."""
    name = "beforeConnectRejectActor" if surplus > 0 else "largePayloadActor"
    actor = conform.get_or_create(name)
    body, text = padded(INCOMING + surplus, lambda text: single(conform.encoding, [text]))
    headers = {"x-rivet-conn-params": '{"shouldReject":true}'} if surplus > 0 else {}
    response = await conform.post_action(actor, "echo", content=body, headers=headers)
    if surplus <= 0:
        assert (response.status_code, decoded(response)) == (200, text)
    else:
        assert (response.status_code, of(decoded(response))) == (
            400,
            ("message", "incoming_too_long", "Incoming message too long", UNDEFINED),
        )


@requirement("WIRE-314", "QUEUE-012", "WIRE-337")
@pytest.mark.parametrize("surplus", [0, 1])
async def test_size_of_a_queue_body(conform, surplus):
    """The limit counts the bytes of the body of a queue send; a body of the limit is judged by the queue's own limit."""
    actor = conform.get_or_create("queueActor")

    def make(text):
        if conform.encoding == "bare":
            return b"\x04\x00" + Writer().data(dump_value(text)).byte(0).byte(0).byte(0).finish()
        return dump_document({"body": text}, conform.encoding)

    body, _ = padded(INCOMING + surplus, make)
    response = await conform.request(actor, "/queue/greeting", content=body)
    error = decoded(response)
    if surplus > 0:
        assert (response.status_code, of(error)) == (
            400,
            ("message", "incoming_too_long", "Incoming message too long", UNDEFINED),
        )
    else:
        assert response.status_code == 200 or (error.group, error.code) == ("queue", "message_too_large")


async def filled(conform, actor, ask, limit):
    """Fill the log of the actor so that its next answer has exactly `limit` bytes; `ask` gives the size of an answer."""

    async def log(length):
        await conform.post_action(actor, "logError", "a" * length)  # it answers with the log, so the last one may be refused itself

    await log(60_000)
    size = await ask()
    await log(60_000)
    step, size = await ask() - size, await ask()
    while size + 2 * step <= limit:
        await log(60_000)
        size += step
    half = (limit - size) // 2
    for grown in (half, limit - size - half):
        await log(grown - (step - 60_000))


@requirement("WIRE-319", "WIRE-981", "CONN-098")
@pytest.mark.parametrize("surplus", [-1, 0, 1])
async def test_size_of_an_answer(conform, surplus):
    """An answer of the limit in bytes is sent; one byte more is this error instead, and the actor serves on."""
    actor = conform.get_or_create("errorHandlingActor")

    async def ask():
        return len((await conform.post_action(actor, "getErrorLog")).content)

    await filled(conform, actor, ask, OUTGOING + surplus)
    response = await conform.post_action(actor, "getErrorLog")
    if surplus <= 0:
        assert (response.status_code, len(response.content)) == (200, OUTGOING + surplus)
    else:
        assert (response.status_code, of(decoded(response))) == (
            400,
            ("message", "outgoing_too_long", "Outgoing message too long", UNDEFINED),
        )
    assert decoded(await conform.post_action(actor, "successfulAction")) == "success"


@requirement("WIRE-530", "WIRE-981", "CONN-098")
@pytest.mark.parametrize("surplus", [-1, 0, 1])
async def test_size_of_a_response_frame(conform, surplus):
    """A response of the limit in bytes is sent; one byte more is this error, with the id and without an actor; the connection serves on."""
    actor = conform.get_or_create("errorHandlingActor")
    async with conform.frames(actor) as socket:

        async def ask():
            await socket.request(7, "getErrorLog")
            await socket.answer(7)
            return len(_bytes(socket.transcript[-1].data))

        await filled(conform, actor, ask, OUTGOING + surplus)
        await socket.exactly(ActionResponse, ActionResponse, ActionResponse)
        await socket.request(7, "getErrorLog")
        if surplus <= 0:
            await socket.exactly(ActionResponse)
            sizes = [len(_bytes(seen.data)) for seen in socket.transcript if isinstance(seen.message, ActionResponse)]
            assert sizes[-1] == OUTGOING + surplus
        else:
            (frame,) = await socket.exactly(ErrorFrame)
            assert (frame.action_id, frame.error.actor) == (7, None)
            assert of(frame.error) == ("message", "outgoing_too_long", "Outgoing message too long", UNDEFINED)
        await socket.request(8, "successfulAction")
        await socket.exactly(ActionResponse(8, "success"))


@requirement("WIRE-531", "CONN-099", "WIRE-412")
@pytest.mark.parametrize("kind", ["empty", "cut", "unknown-tag", "garbage", "server-message"])
async def test_undecodable_frames(conform, kind):
    """A frame that is no message closes the connection with this name and no message; other connections go on."""
    json_encoded = conform.encoding == "json"
    good = encode_to_server(ActionRequest(1, "getCount", []), conform.encoding)
    unknown = {"json": '{"body":{"tag":"Ping","val":{}}}', "cbor": b"\xa1\x64body\xa2\x63tag\x64Ping\x63val\xa0", "bare": b"\x04\x00\x09"}
    server = {
        "json": '{"body":{"tag":"Init","val":{"actorId":"a","connectionId":"b"}}}',
        "cbor": dump_document({"body": {"tag": "Init", "val": {"actorId": "a", "connectionId": "b"}}}, "cbor"),
        "bare": b"\x04\x00\x02\x01\x01\x00",
    }
    frames = {
        "empty": "" if json_encoded else b"",
        "cut": good[:-1],
        "unknown-tag": unknown[conform.encoding],
        "garbage": "}{" if json_encoded else b"\xff\xfe\xfd",
        "server-message": server[conform.encoding],
    }
    actor = conform.get_or_create("counter")
    async with conform.frames(actor) as socket, conform.frames(actor) as other:
        await socket.send(frames[kind])
        await socket.request(2, "increment", 1)
        await socket.exactly(closed=(1011, "actor.invalid_request"))
        await other.request(0, "getCount")
        await other.exactly(ActionResponse(0, 0))


@requirement("WIRE-315", "WIRE-412", "WIRE-831")
@pytest.mark.parametrize("kind", ["empty", "cut", "garbage"])
async def test_undecodable_bodies(conform, kind):
    """A body that is no message is refused 400 with this error, and nothing runs."""
    actor = conform.get_or_create("counter")
    good = single(conform.encoding, [1])
    body = {"empty": b"", "cut": good[:-1], "garbage": b"\xff\xfe\xfd"}[kind]
    response = await conform.post_action(actor, "increment", content=body)
    assert (response.status_code, of(decoded(response))) == (400, ("core", "internal_error", MASKED, UNDEFINED))
    assert decoded(await conform.post_action(actor, "getCount")) == 0


@requirement("WIRE-401", "WIRE-521")
@encodings("json")
async def test_an_unknown_value_tag(conform):
    """It fails the action that has it, with this error, and neither the connection nor the actor."""
    actor = conform.get_or_create("largePayloadActor")
    async with conform.frames(actor) as socket:
        await socket.send('{"body":{"tag":"ActionRequest","val":{"id":0,"name":"echo","args":[["$What",1]]}}}')
        (frame,) = await socket.exactly(ErrorFrame)
        assert (frame.action_id, frame.error.group, frame.error.code) == (0, "rivetkit", "internal_error")
        await socket.request(1, "echo", ["$$What", 1])
        await socket.exactly(ActionResponse(1, ["$$What", 1]))


@requirement("WIRE-304", "WIRE-305", "WIRE-837")
async def test_content_types(conform):
    """Results and errors of an actor have the content type of the encoding that was asked for, whatever the request's own says."""
    actor = conform.get_or_create("errorHandlingActor")
    expected = "application/json" if conform.encoding == "json" else "application/octet-stream"
    for action, status in (("successfulAction", 200), ("throwSimpleError", 500), ("noSuch", 404)):
        response = await conform.post_action(actor, action, headers={"content-type": "text/html"})
        assert (response.status_code, response.headers["content-type"]) == (status, expected)
        decoded(response)
