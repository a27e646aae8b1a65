"""Complete answers as the tunnel carries them (ENGINE-114..119, ENGINE-124)."""

from __future__ import annotations

import structlog

from runtime.errors import gateway_status, make_error
from runtime.gateway.asgi import BODYLESS
from runtime.hosting.engine.protocol.tunnel import ResponseStart
from runtime.logs import LimitedLog
from runtime.replies import Reply, error_reply

NEVER_HERE = Reply(503, ((b"x-rivet-error", b"envoy.actor_not_found"),), b"Actor not found")
"""The answer for an actor that this process never hosted (ENGINE-120)."""

_cookies = LimitedLog(structlog.get_logger(__name__), "an answer has several set-cookie headers, the engine carries one of them")


def response(reply: Reply, limit: int) -> ResponseStart:
    """The one message of an answer; `limit` is what a body may have, in bytes.

    Always whole: a gateway forwards the first message of an answer and loses all chunks behind it (ENGINE-114). What is longer than a
    message may be would cost the connection of all actors of this process, and becomes an error (ENGINE-124).
    """
    if len(reply.body) > limit:
        error = make_error("guard.invalid_response_body", reason="length limit exceeded")
        reply = error_reply(error, gateway_status(error))
    body = None if reply.status in BODYLESS else reply.body or None
    return ResponseStart(reply.status, _headers(reply), body)


def _headers(reply: Reply) -> dict[str, str]:
    """One value per name: of several `set-cookie` the last is left (ENGINE-244)."""
    headers: dict[str, str] = {}
    for raw, value in reply.headers:
        name = raw.decode("latin-1").lower()
        # A length that is not that of the body would leave the client waiting; without one the gateway counts (ENGINE-115).
        if name == "content-length":
            continue
        # With such a value the gateway would send the request again instead of passing the answer on (ENGINE-119).
        if name == "x-rivet-error" and value.startswith(b"guard."):
            continue
        if name == "set-cookie" and name in headers:
            _cookies.report()
        headers[name] = value.decode("utf-8", "replace")
    return headers
