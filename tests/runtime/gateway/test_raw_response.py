"""What a raw handler answered, made fit to be sent."""

import json

import pytest

from runtime.gateway.raw_response import MAX_RESPONSE, handler_headers, raw_reply
from runtime.http import Response

OWN = ((b"x-rivet-actor", b"a"),)


def test_repeated_response_headers_are_joined_but_cookies_are_not():
    response = Response(headers=(("A", "1"), ("a", "2"), ("Set-Cookie", "x"), ("set-cookie", "y"), ("Content-Length", "9")))
    assert handler_headers(response) == ((b"a", b"1, 2"), (b"set-cookie", b"x"), (b"set-cookie", b"y"))


@pytest.mark.parametrize("pair", [("a\n", "b"), ("a", "b\r\nc: d"), ("a b", "c"), ("", "x")])
def test_headers_that_cannot_be_sent(pair):
    with pytest.raises(ValueError, match="cannot be sent"):
        handler_headers(Response(headers=(pair,)))


def test_an_answer_passes_with_the_headers_of_its_generation():
    reply = raw_reply(Response("\u00fc", 201, {"a": "1", "x-rivet-actor": "forged"}), OWN)
    assert (reply.status, reply.headers, reply.body) == (201, ((b"a", b"1"), *OWN), "\u00fc".encode())


@pytest.mark.parametrize("status", [199, 600, 0])
def test_a_status_that_no_server_sends(status):
    with pytest.raises(ValueError, match="status"):
        raw_reply(Response(b"", status), OWN)


def test_the_length_of_an_answer_has_a_limit():
    assert raw_reply(Response(bytes(MAX_RESPONSE)), OWN).status == 200
    reply = raw_reply(Response(bytes(MAX_RESPONSE + 1)), OWN)
    assert json.loads(reply.body)["code"] == "invalid_response_body"
