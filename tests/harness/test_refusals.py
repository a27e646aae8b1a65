"""What a target said when it refused to speak to a test at all."""

import json

import httpx

from client.observe import Exchange
from harness.evidence.refusals import refusal
from harness.evidence.transcript import Mark, RawExchange


def answered(status, body):
    return Exchange("GET", "http://h/actors", {}, b"", 0.0, 0.1, status, {}, body)


def said(message="Access denied: pages of https://a.example may not", group="api", code="forbidden"):
    return json.dumps({"group": group, "code": code, "message": message}).encode()


def test_the_first_refusal_is_told_with_what_was_asked():
    raw = RawExchange(httpx.Request("GET", "http://h/x"), httpx.Response(403, content=said("not you")), 0.0, 0.1)
    assert refusal([Mark(0.0, "x"), answered(200, b"{}"), raw, answered(403, said())]) == "GET http://h/x: not you"
    assert refusal([answered(403, said())]) == "GET http://h/actors: Access denied: pages of https://a.example may not"


def test_what_is_no_refusal_of_us():
    nothing = RawExchange(httpx.Request("GET", "http://h/x"), None, 0.0, 0.1, "refused")
    others = (
        answered(403, said(group="auth")),
        answered(403, b"no"),
        answered(403, b"[]"),
        answered(403, b'{"group":"api"}'),
        answered(400, said()),
    )
    assert refusal([nothing, *others]) is None
