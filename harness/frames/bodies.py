"""What an HTTP answer of an actor says, strictly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from client import Encoding
from harness.codec.addresses import route_of
from harness.codec.bodies import decode_action_response, decode_error, decode_queue_response
from harness.codec.errors import SchemaError
from harness.errors import HarnessError, SchemaViolation

if TYPE_CHECKING:
    import httpx


def decoded(response: httpx.Response) -> Any:
    """The output of an action, a `QueueResult`, or the `WireError` of an answer that is none of success.

    The answer has the content type of the encoding that was asked for; only errors that the gateway made are JSON always (WIRE-305,
    WIRE-837).

    Raises:
        SchemaViolation: the answer is not what its schema allows.
    """
    route = route_of(str(response.request.url))
    kind = "" if route is None else route.path.strip("/").partition("/")[0]
    asked = response.request.headers.get("x-rivet-encoding")
    encoding = Encoding(asked) if asked in list(Encoding) else Encoding.JSON
    content_type = response.headers.get("content-type", "").partition(";")[0]
    try:
        # A fault of the test: what a raw request answers is the fixture's own text, and no message that has a schema.
        if response.is_success and kind not in ("action", "queue"):
            raise HarnessError(f"{response.request.url} answers with no message: look at its body")
        # An answer of the gateway itself names no actor; one that an actor made has to be in the encoding that was asked for.
        if not response.is_success and content_type == Encoding.JSON.content_type and "x-rivet-actor" not in response.headers:
            return decode_error(response.content, Encoding.JSON)
        if content_type != encoding.content_type:
            raise SchemaError(f"content type {content_type!r}, expected {encoding.content_type!r} for {encoding}")
        if not response.is_success:
            return decode_error(response.content, encoding)
        return decode_action_response(response.content, encoding) if kind == "action" else decode_queue_response(response.content, encoding)
    except SchemaError as error:
        raise SchemaViolation(
            f"the target sent what no schema allows: answer {response.status_code} of {response.request.url}: {error}"
        ) from None
