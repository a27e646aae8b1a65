"""Which parser a request gets."""

import importlib
import sys

import pytest

from runtime.serving import http_protocol, in_process
from runtime.serving.fast_http import FastHttp
from runtime.serving.plain_http import PlainHttp
from tests.runtime.serving.raw_clients import client_of, small_server


@pytest.fixture
def protocol(monkeypatch):
    """One that only notes which way its data went."""
    made = FastHttp.__new__(FastHttp)
    made.cycle, made.ways, made.deaf, made.timeout_keep_alive_task = None, [], False, None
    monkeypatch.setattr(FastHttp, "_feed", lambda self, data: self.ways.append("fast"))
    monkeypatch.setattr(FastHttp, "_hand_over", lambda self, data: self.ways.append("any"))
    return made


@pytest.mark.parametrize(
    ("data", "way"), [(b"GET / HTTP/1.1", "fast"), (b"PURGE / HTTP/1.1", "any"), (b"GET //x HTTP/1.1", "any"), (b"GE", "any")]
)
def test_the_fast_parser_gets_what_it_knows(protocol, data, way):
    protocol.data_received(data)
    assert protocol.ways == [way]


def test_a_body_never_changes_the_parser(protocol):
    protocol._between_messages = False
    protocol.data_received(b"PURGE / is text here")
    assert protocol.ways == ["fast"]


def test_a_request_in_flight_keeps_its_parser(protocol):
    protocol.cycle = type("Cycle", (), {"response_complete": False})()
    protocol.data_received(b"PURGE / HTTP/1.1")
    assert protocol.ways == ["fast"]


async def test_without_httptools_everything_is_parsed_by_h11(monkeypatch):
    """There are platforms without a wheel of it."""
    with monkeypatch.context() as hidden:
        modules = ("httptools", "uvicorn.protocols.http.httptools", "runtime.serving.fast_http")
        for name in [name for name in sys.modules if name.startswith(modules)]:
            hidden.delitem(sys.modules, name)
        hidden.setitem(sys.modules, "httptools", None)
        found = importlib.reload(http_protocol).HTTP_PROTOCOL
    importlib.reload(http_protocol)
    assert found is PlainHttp
    async with small_server("h11", monkeypatch) as server, client_of(server) as client:
        assert in_process.HTTP_PROTOCOL is PlainHttp
        await client.send(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n")
        assert await client.status() == 200
