"""Complete HTTP answers as values, for whoever makes one: the inspector, the gateway, the control plane.

They stand below the gateway because the inspector answers HTTP, too, and the gateway hands it the requests.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runtime.errors import make_error
from runtime.protocol import jsontext
from runtime.protocol.values import UNDEFINED

if TYPE_CHECKING:
    from runtime.errors import ActorError

    Headers = tuple[tuple[bytes, bytes], ...]
    RawHeaders = dict[bytes, bytes]

JSON_TYPE = (b"content-type", b"application/json")
_UNSENDABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Reply:
    """One complete HTTP response; `content-length` is added when it is sent."""

    status: int
    headers: Headers = ()
    body: bytes = b""


def header_value(text: str) -> bytes | None:
    """What a header carries of a text; None when it cannot: servers refuse control characters, and the answer with them (RFC 9110, 5.5).

    Raises:
        UnicodeEncodeError: It holds a lone surrogate.
    """
    # Blanks around a value are not part of it, and some servers insist.
    return None if _UNSENDABLE.search(text) else text.strip(" \t").encode()


def json_reply(value: object, status: int = 200) -> Reply:
    """A reply with a JSON body."""
    return Reply(status, (JSON_TYPE,), jsontext.dumps(value))


def error_reply(error: ActorError, status: int) -> Reply:
    """A manager or gateway error: always JSON, never masked (WIRE-008, WIRE-837)."""
    body: dict[str, Any] = {"group": error.group, "code": error.code, "message": error.message}
    # No metadata is told by no member, not by a null (WIRE-008).
    if error.metadata is not UNDEFINED and error.metadata is not None:
        body["metadata"] = error.metadata
    return json_reply(body, status)


def internal_error() -> ActorError:
    """An unstructured fault as clients see it."""
    return make_error("core.internal_error")
