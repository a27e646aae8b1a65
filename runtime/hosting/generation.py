"""What any host says about a generation it starts or lost: its identity, the text of its crash.

These stand above the hosts and not in one of them because clients and records see the same whoever runs the actor.
"""

from __future__ import annotations

import re

from runtime.actor.ports import ActorIdentity
from runtime.errors import ActorError
from runtime.protocol.cbor_heads import STORED
from runtime.protocol.keys import parse_key
from runtime.protocol.payload import load_value
from runtime.protocol.values import UNDEFINED

MAX_CRASH_BYTES = 2048
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def identify(actor_id: str, name: str, key: str | None, *, namespace: str, generation: int, input_cbor: bytes | None) -> ActorIdentity:
    """The identity of a generation; `key` is serialized (WIRE-160), `input_cbor` the creation input as it travels (WIRE-170)."""
    return ActorIdentity(
        actor_id=actor_id,
        name=name,
        key=None if key is None else parse_key(key),
        namespace=namespace,
        generation=generation,
        input=UNDEFINED if input_cbor is None else load_value(input_cbor, limits=STORED),
    )


def crash_text(error: BaseException) -> str:
    """Why a start or stop failed, in at most `MAX_CRASH_BYTES` bytes before the note that it was cut (RUN-011, WIRE-041).

    It becomes part of a row that every actor of the host shares a batch with, and of JSON: always valid Unicode, without control characters
    except tabs and line ends.
    """
    try:
        message = error.message if isinstance(error, ActorError) else str(error) or type(error).__name__
    # The text is made by code of the user, too.
    except Exception:
        message = type(error).__name__
    # `replace`: the text of an exception may hold lone surrogates, as names of files do.
    encoded = _CONTROLS.sub("?", str(message)).encode(errors="replace")
    if len(encoded) > MAX_CRASH_BYTES:
        return encoded[:MAX_CRASH_BYTES].decode(errors="ignore") + "... (truncated)"
    return encoded.decode()
