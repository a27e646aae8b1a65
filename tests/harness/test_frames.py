"""The frame instrument: what it accepts as exactly what was expected, what it complains of, and how long it waits."""

import asyncio

import httpx
import pytest

from client import UNDEFINED, Encoding, SocketFrame
from harness.codec.bodies import encode_action_request
from harness.codec.frames import decode_to_server
from harness.codec.messages import ActionRequest, ActionResponse, ErrorFrame, Event, Init, QueueResult, WireError
from harness.errors import HarnessError, SchemaViolation, TimingMissed
from harness.evidence.decode import Reader, violations
from harness.evidence.transcript import OwnFrame, Transcript
from harness.frames import Frames, decoded, in_any_order
from harness.frames.match import difference
from harness.frames.volley import volley
from runtime.protocol import connection_frames, messages
from runtime.protocol.http_bodies import encode_action_response, encode_error, encode_queue_response

ONE, TWO, ANSWER = Event("a", [1]), Event("b", [0]), ActionResponse(1, None)


@pytest.mark.parametrize(
    ("expected", "came"),
    [
        ([], []),
        ([ONE, ANSWER], [ONE, ANSWER]),
        ([in_any_order(ONE, ANSWER), TWO], [ANSWER, ONE, TWO]),
        ([Init, ONE], [Init("a", "c"), ONE]),
        ([lambda message: message.name == "b"], [TWO]),
        ([ErrorFrame(WireError("g", "c", "m"), 0)], [ErrorFrame(WireError("g", "c", "m"), 0)]),
    ],
)
def test_exactly_this(expected, came):
    assert difference(expected, came) is None


@pytest.mark.parametrize(
    ("expected", "came", "complaint"),
    [
        ([], [ONE], "nothing more may come, but came: Event(name='a', args=[1])"),
        ([ONE], [ONE, ONE], "nothing more may come"),
        ([ONE, TWO], [ONE], "missing: Event(name='b', args=[0])"),
        ([ONE, TWO], [TWO, ONE], "message 1 is Event(name='b', args=[0]), expected Event(name='a'"),
        ([in_any_order(ONE, TWO)], [ONE, ONE], "message 2 is Event(name='a'"),
        ([TWO], [Event("b", [False])], "message 1 is Event(name='b', args=[False])"),
        ([ANSWER], [ActionResponse(1, UNDEFINED)], "message 1 is"),
        ([ActionResponse(1, "")], [ActionResponse(1, None)], "message 1 is"),
        ([ErrorFrame(WireError("g", "c", "m"), 0)], [ErrorFrame(WireError("g", "c", "m", {"x": 1}), 0)], "message 1 is"),
        ([ErrorFrame(WireError("g", "c", "m"), 0)], [ErrorFrame(WireError("g", "c", "m"), None)], "message 1 is"),
        ([Init], [ONE], "expected Init"),
    ],
)
def test_anything_else_is_told(expected, came, complaint):
    assert complaint in difference(expected, came)


class Scripted:
    """A socket whose server says these messages at these times, and answers what nobody serves."""

    def __init__(self, *said, close=None):
        self._queue = asyncio.Queue()
        self._close = close
        self.close_code, self.close_reason, self.sent = None, "", []
        loop = asyncio.get_running_loop()
        for at, message in said:
            loop.call_later(at, self._queue.put_nowait, message)
        if close is not None:
            loop.call_later(close[0], self._queue.put_nowait, None)

    async def receive(self):
        message = await self._queue.get()
        if message is None:
            self.close_code, self.close_reason = self._close[1:]
            return None
        return message if isinstance(message, bytes | str) else connection_frames.encode_to_client(message, Encoding.BARE)

    async def send(self, data):
        self.sent.append(data)
        request = decode_to_server(data, "bare")
        if not isinstance(request, ActionRequest):
            return
        unknown = messages.WireError("actor", "action_not_found", "no")
        self._queue.put_nowait(messages.ErrorFrame(unknown, request.id))


def speaks(*said, close=None):
    return Frames(Scripted(*said, close=close), "bare", lambda seconds: seconds)


THEIR = messages.Event("a", [1])
pytestmark = pytest.mark.virtual_time


async def test_messages_are_checked_once_and_fences_do_not_count():
    frames = speaks((0.1, THEIR), (2.0, THEIR))
    assert await frames.exactly(ONE) == [ONE]
    assert await frames.exactly(ONE) == [ONE]
    assert await frames.exactly() == []
    assert frames.received == [ONE, ONE]
    assert frames.events("a") == [[1], [1]]


async def test_what_comes_twice_or_late_is_seen():
    with pytest.raises(AssertionError, match="nothing more may come") as caught:
        await speaks((0.1, THEIR), (0.1, THEIR)).exactly(ONE)
    assert str(caught.value).count("<- Event(name='a', args=[1])") == 2
    with pytest.raises(AssertionError, match="nothing more may come"):
        await speaks((0.2, THEIR)).exactly()
    with pytest.raises(AssertionError, match="nothing more may come"):
        await speaks((0.2, THEIR)).exactly(fence=False)


async def test_what_does_not_come_in_time_is_late():
    started = asyncio.get_running_loop().time()
    with pytest.raises(TimingMissed, match="missing: Event"):
        await speaks((2.0, THEIR)).exactly(ONE, within=1.0)
    assert asyncio.get_running_loop().time() - started == pytest.approx(1.0, abs=0.01)


async def test_the_end_of_the_socket():
    assert await speaks((0.1, THEIR), close=(0.2, 1000, "bye")).exactly(ONE, closed=(1000, "bye")) == [ONE]
    with pytest.raises(AssertionError, match=r"closed with \(1000, 'bye'\), expected \(1011, 'x.y'\)"):
        await speaks(close=(0.2, 1000, "bye")).exactly(closed=(1011, "x.y"))
    with pytest.raises(AssertionError, match="missing"):
        await speaks(close=(0.2, 1000, "bye")).exactly(ONE)
    with pytest.raises(TimingMissed, match="still open"):
        await speaks((0.1, THEIR)).exactly(ONE, closed=(1000, ""), within=1.0)


async def test_frames_that_no_schema_allows():
    frames = speaks((0.0, b"\x04\x00\x09"))
    with pytest.raises(SchemaViolation, match="bare frame: tag 9"):
        await frames.receive()


async def test_accepted_and_answered():
    frames = speaks((0.0, messages.Init("x", "c")), (0.1, THEIR), (0.2, messages.ActionResponse(0, False)))
    with pytest.raises(HarnessError, match="no Init"):
        _ = frames.init
    await frames.accept()
    assert frames.init == Init("x", "c")
    assert await frames.answer(0) == ActionResponse(0, False)
    await frames.exactly(ONE, ActionResponse(0, False))
    early = speaks((0.0, THEIR), (0.1, messages.Init("x", "c")))
    await early.accept()
    with pytest.raises(AssertionError, match="nothing more may come, but came: Event"):
        await early.exactly()
    with pytest.raises(AssertionError, match="refused"):
        await speaks((0.0, THEIR), close=(0.1, 1011, "user.no")).accept()
    await frames.send(b"\x04\x00\x01\x00\x01")
    assert frames.transcript[-1].sent
    assert frames.transcript[-1].data == b"\x04\x00\x01\x00\x01"


def test_tests_may_send_nonsense_and_the_client_may_not():
    opened = SocketFrame(1, "open", 0.0, url="http://h/gateway/x/connect", protocols=("rivet", "rivet_encoding.bare"))
    said = {"socket": 1, "at": 0.1, "data": b"nonsense"}
    assert violations([opened, OwnFrame(kind="sent", **said)]) == []
    assert [one.side for one in violations([opened, OwnFrame(kind="received", **said)])] == ["target"]
    assert [one.side for one in violations([opened, SocketFrame(kind="sent", **said)])] == ["client"]
    assert Reader().read(OwnFrame(kind="sent", **said)).violations == ()


def answer(path, body, encoding, *, status=200, content_type=None, actor=True):
    request = httpx.Request(
        "POST", f"http://h/gateway/x/{path}", headers={"x-rivet-encoding": encoding}, content=encode_action_request([], encoding)
    )
    headers = {"content-type": content_type or ("application/json" if encoding == "json" else "application/octet-stream")}
    if actor:
        headers["x-rivet-actor"] = "x"
    return httpx.Response(status, content=body, headers=headers, request=request)


@pytest.mark.parametrize("encoding", list(Encoding))
def test_answers_over_http(encoding):
    assert decoded(answer("action/a", encode_action_response(False, encoding), encoding)) is False
    waited = encode_queue_response(messages.QueueResult("completed", 0), encoding)
    assert decoded(answer("queue/a", waited, encoding)) == QueueResult("completed", 0)
    refused = messages.WireError("g", "c", "m")
    assert decoded(answer("action/a", encode_error(refused, encoding), encoding, status=500)) == WireError("g", "c", "m")
    at_gateway = answer(
        "action/a", encode_error(refused, Encoding.JSON), encoding, status=404, content_type="application/json", actor=False
    )
    assert decoded(at_gateway) == WireError("g", "c", "m")
    with pytest.raises(SchemaViolation, match="content type 'text/plain'"):
        decoded(answer("action/a", b"x", encoding, content_type="text/plain"))
    with pytest.raises(SchemaViolation, match="answer 500 of http://h/gateway/x/action/a"):
        decoded(answer("action/a", b"\xff", encoding, status=500))
    with pytest.raises(HarnessError, match="look at its body"):
        decoded(answer("request/a", b"x", encoding))


def test_an_error_of_an_actor_has_the_encoding_that_was_asked_for():
    json = encode_error(messages.WireError("g", "c", "m"), Encoding.JSON)
    with pytest.raises(SchemaViolation, match="content type 'application/json', expected 'application/octet-stream'"):
        decoded(answer("action/a", json, Encoding.BARE, status=500, content_type="application/json"))


async def test_a_volley_arrives_at_once():
    """Every connection is open before the first request is written, and answers keep the order of their requests."""
    opened, seen, all_there = [], [], asyncio.Event()

    async def serve(reader, writer):
        opened.append(writer)
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        seen.append((len(opened), head.split()[1]))
        body = head.split()[1].encode()
        if len(seen) == 3:
            all_there.set()
        await all_there.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nset-cookie: a=1\r\nset-cookie: b=2\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transcript = Transcript()
    requests = [httpx.Request("POST", f"http://127.0.0.1:{port}/{number}?q=1", content=b"x") for number in range(3)]
    answers = await volley(requests, transcript)
    server.close()
    assert [response.text for response, _ in answers] == ["/0?q=1", "/1?q=1", "/2?q=1"]
    assert answers[0][0].headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert {count for count, _ in seen} == {3}
    assert [entry.exchange().status for entry in transcript] == [200, 200, 200]


async def test_a_volley_says_when_an_answer_is_cut():
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(httpx.RemoteProtocolError, match="complete"):
        await volley([httpx.Request("POST", f"http://127.0.0.1:{port}/", content=b"")], Transcript())
    server.close()
