"""Which parser a request gets."""

import pytest

from runtime.serving.http_protocol import AnyMethodProtocol


@pytest.fixture
def protocol(monkeypatch):
    """One that only notes which way its data went."""
    made = AnyMethodProtocol.__new__(AnyMethodProtocol)
    made.cycle, made.ways = None, []
    monkeypatch.setattr(AnyMethodProtocol.__mro__[1], "data_received", lambda self, data: self.ways.append("fast"))
    monkeypatch.setattr(AnyMethodProtocol, "_hand_over", lambda self, data: self.ways.append("any"))
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
