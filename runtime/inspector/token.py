"""Who may inspect (INSP-010..018)."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from runtime.actor.rows import ACTOR_TABLE, INSPECTOR_TOKEN_KEY
from runtime.protocol import cbor

if TYPE_CHECKING:
    from runtime.actor.lifecycle.task import ActorTask
    from runtime.storage.actor import ActorStorage


async def expected_token(task: ActorTask) -> str | None:
    """The token that opens this actor: the fixed one while there is one, else the actor's own (INSP-017)."""
    fixed = task.host.options.fixed_inspector_token
    if fixed is not None:
        return fixed
    return await stored_token(task.storage)


async def stored_token(storage: ActorStorage) -> str | None:
    """The actor's own token, None before its first start (INSP-012)."""
    row = await storage.get(ACTOR_TABLE, INSPECTOR_TOKEN_KEY)
    return None if row is None else str(cbor.loads(row))


def header_token(value: str | None) -> str | None:
    """The token of an `Authorization` header; the scheme word is optional and case-insensitive (INSP-016)."""
    if not value:
        return None
    scheme, space, rest = value.strip().partition(" ")
    return rest.strip() if space and scheme.lower() == "bearer" else value.strip()


async def is_authorized(task: ActorTask, given: str | None) -> bool:
    """Compare in constant time (INSP-015); no stored token admits nobody."""
    expected = await expected_token(task)
    return given is not None and bool(given) and expected is not None and hmac.compare_digest(given.encode(), expected.encode())
