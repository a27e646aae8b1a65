"""What a raw request handler answered, made fit to be sent (WIRE-343, WIRE-344)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runtime.errors import gateway_status, make_error
from runtime.replies import Reply, error_reply, header_value

if TYPE_CHECKING:
    from runtime.http import Response
    from runtime.replies import Headers

MAX_RESPONSE = 20 * 1024 * 1024
TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]+")
SERVER_HEADERS = frozenset({
    "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade",
    "x-rivet-actor", "x-rivet-actor-generation", "x-rivet-actor-key", "x-rivet-ray-id",
})  # fmt: skip
"""What a handler cannot set: the server and the gateway do."""


def raw_reply(response: Response, own: Headers) -> Reply:
    """The answer of a handler with the generation's `own` headers (WIRE-343, WIRE-344, RAWHTTP-006, RAWHTTP-017).

    Raises:
        ValueError: Status or headers cannot be sent.
    """
    body = response.body.encode() if isinstance(response.body, str) else bytes(response.body)
    if len(body) > MAX_RESPONSE:
        error = make_error("guard.invalid_response_body", reason="length limit exceeded")
        return error_reply(error, gateway_status(error))
    if not 200 <= response.status <= 599:
        raise ValueError(f"onRequest handler answered with status {response.status}")
    return Reply(response.status, (*handler_headers(response), *own), body)


def handler_headers(response: Response) -> Headers:
    """A handler's headers as bytes: repeated ones joined by a comma, except `set-cookie` (RAWHTTP-007).

    Raises:
        ValueError: A name or value cannot be sent.
    """
    joined: dict[str, bytes] = {}
    cookies = []
    for name, value in response.header_items():
        lower = name.lower()
        sent = header_value(value)
        if not TOKEN.fullmatch(lower) or sent is None:
            raise ValueError(f"response header {name!r} cannot be sent")
        if lower in SERVER_HEADERS:
            continue
        # Joined cookies could not be told apart again: their values hold commas.
        if lower == "set-cookie":
            cookies.append((b"set-cookie", sent))
        else:
            joined[lower] = joined[lower] + b", " + sent if lower in joined else sent
    return (*((name.encode(), value) for name, value in joined.items()), *cookies)
