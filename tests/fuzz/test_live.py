"""What the fuzzer of a live server takes for an answer, how it sees a held loop, and that its frames are frames."""

from __future__ import annotations

import asyncio
import time

import pytest

from fuzz.grammars import websocket
from fuzz.grammars.exchange import Exchange
from fuzz.grammars.live import KINDS, exchange
from fuzz.live import answers, attempt
from fuzz.live.beats import Pulse
from tests.serving.test_bystander import Answering, listening

ERROR = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"


def test_an_exchange_is_its_seed_and_number():
    def made(seed):
        return [exchange(seed, number) for number in range(60)]

    assert made(1) == made(1) != made(2)
    assert {one.kind for one in made(1)} >= {"HTTP", "body", "frames", "messages", "handshake"}
    assert len(KINDS) == 6


@pytest.mark.parametrize(
    ("data", "end", "faulty"),
    [
        (b"", "closed without an answer", False),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", "200", False),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no", "cut off", False),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", "204", False),
        (ERROR % (40, b'{"group":"a","code":"b","message":"c"}  '), "400", False),
        (ERROR % (13, b'{"group":"a"}'), "400", True),
        (ERROR % (4, b"oops"), "400", True),
        # To HEAD: a length and no body, and the next answer behind it.
        (b"HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\nHTTP/1.1 200 OK\r\n\r\n   ", "404", False),
        (b"Traceback", "nonsense", True),
    ],
)
def test_answers_to_requests(data, end, faulty):
    found, wrong = answers.http(data)
    assert (found, wrong is not None) == (end, faulty)


@pytest.mark.parametrize(
    ("data", "end", "faulty"),
    [
        (b"", "open to the end", False),
        (b"\x81\x02ok\x88\x02\x03\xe8", "closed 1000", False),
        (b"\x88\x06\x03\xf3gone", "closed 1011 gone", False),
        (b"\x81\x7e\x00\x80" + b"x" * 128 + b"\x88\x00", "closed", False),
        (b"\x81\x05ok", "cut off", False),
        (b"\x81\x82\x00\x00\x00\x00ok", "nonsense", True),
        (b"\xc1\x02ok", "nonsense", True),
        (b"\x88\x02\x03\xed", "closed", True),
        (b"\x88\x04\x03\xe8\xff\xfe", "closed 1000", True),
    ],
)
def test_answers_on_sockets(data, end, faulty):
    found, wrong = answers.socket(data)
    assert (found, wrong is not None) == (end, faulty)


def test_frames_are_written_as_the_standard_has_them():
    assert websocket.frame(1, b"Hello", mask=b"\x37\xfa\x21\x3d").hex() == "818537fa213d7f9f4d5158"  # RFC 6455, 5.7
    assert websocket.frame(2, bytes(256), mask=None)[:4].hex() == "827e0100"
    assert websocket.frame(2, bytes(65536), mask=None)[:10].hex() == "827f0000000000010000"
    assert websocket.frame(8, b"x", fin=False, reserved=2, mask=None, claim=2**64 - 1).hex() == "287fffffffffffffffff78"


async def test_a_pulse_tells_cpu_from_sleep():
    pulse = Pulse()
    beating = asyncio.create_task(pulse.run())
    await asyncio.sleep(0.005)
    time.sleep(0.02)  # noqa: ASYNC251 - held, without work
    await asyncio.sleep(0.005)
    assert pulse.report()[0]["cpu"] < 0.015
    end = time.thread_time() + 0.02
    while time.thread_time() < end:
        pass
    await asyncio.sleep(0.005)
    assert pulse.report()[0]["cpu"] >= 0.02
    beating.cancel()


class Silent(Answering):
    answer = b""


async def test_a_whole_request_without_an_answer_is_a_fault(monkeypatch):
    monkeypatch.setattr(attempt, "PATIENCE", 0.05)
    for protocol, wanted in ((Silent, "silence"), (Answering, "200")):
        async with listening(protocol) as url:
            end, wrong = await attempt.attempt("127.0.0.1", int(url.rpartition(":")[2]), Exchange("body", (b"x",), whole=True))
        assert (end, wrong is not None) == (wanted, protocol is Silent)
