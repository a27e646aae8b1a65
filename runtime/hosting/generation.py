"""What any host does and says about a generation that it starts or stops: its class, its identity, its end, the text of its crash.

These stand above the hosts and not in one of them because clients and records see the same whoever runs the actor.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import structlog

from runtime import clock
from runtime.actor.lifecycle.states import LifecycleState
from runtime.actor.ports import ActorIdentity
from runtime.errors import ActorError, is_end, make_error
from runtime.protocol.cbor_heads import STORED
from runtime.protocol.keys import parse_key
from runtime.protocol.payload import load_value
from runtime.protocol.values import UNDEFINED

if TYPE_CHECKING:
    from runtime.actor.lifecycle.task import ActorTask
    from runtime.actor.ports import StopReason
    from runtime.declaration.definition import ActorDefinition
    from runtime.declaration.registry import Registry

log = structlog.get_logger(__name__)

STOP_RETRY = 0.05
"""Seconds until a stop that was refused is ordered again."""
MAX_CRASH_BYTES = 2048
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def declared(registry: Registry, name: str) -> ActorDefinition:
    """What was declared under a name.

    Raises:
        ActorError: `actor.not_registered`: anybody may create actors of any name (WIRE-089).
    """
    definition = registry.get(name)
    if definition is None:
        raise make_error("actor.not_registered", actor_name=name)
    return definition


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


async def stopped(task: ActorTask, reason: StopReason) -> BaseException | None:
    """Stop a generation, ordering it again while that is refused: the next one must not begin beside it (STOP-030).

    Returns:
        What went wrong in a generation that is over all the same (STOP-014).
    """
    while True:
        try:
            await task.stop(reason)
        except BaseException as error:
            if is_end(error):
                raise
            if task.state_name is LifecycleState.TERMINATED:
                log.exception("actor stopped with an error", actor_id=task.identity.actor_id)
                return error
            # Refused and not failed: it lives.
            log.warning("actor stop refused", actor_id=task.identity.actor_id, error=repr(error))
        else:
            return None
        await clock.sleep(STOP_RETRY)


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
