"""A request as the gateway hands it on, and as actor code sees it."""

import pytest

from runtime.gateway.actor_request import ActorRequest
from runtime.gateway.paths import Kind
from runtime.gateway.request_headers import RequestHeaders
from runtime.protocol.encodings import Encoding


def test_request_headers_drop_what_is_not_text():
    headers = RequestHeaders({b"a": b"2", b"b": b"\xff", b"c": "ü".encode()})
    assert dict(headers) == {"a": "2", "c": "ü"}


@pytest.mark.parametrize(
    ("given", "encoding"), [(None, Encoding.JSON), (b"cbor", Encoding.CBOR), (b"xml", Encoding.JSON), (b"\xff", Encoding.JSON)]
)
def test_the_encoding_is_the_callers_where_there_is_one(given, encoding):
    headers = {} if given is None else {b"x-rivet-encoding": given}
    assert ActorRequest.of("GET", "/", headers, b"").encoding is encoding


def test_a_target_is_path_and_query():
    request = ActorRequest.of("POST", "/action/a%2Fb?c=d?e", {b"authorization": b"Bearer t"}, b"x")
    assert (request.route.kind, request.route.name, request.path, request.query) == (Kind.ACTION, "a/b", "/action/a%2Fb", "c=d?e")
    assert request.authorization() == "Bearer t"
    seen = request.to_actor("/own", None)
    assert (seen.url, seen.headers["authorization"], seen.body) == ("http://127.0.0.1/own?c=d?e", "Bearer t", None)
