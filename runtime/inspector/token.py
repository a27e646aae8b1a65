"""Who may inspect (INSP-010..018)."""

from __future__ import annotations

import hmac
from typing import Protocol

from runtime.actor.rows import ACTOR_TABLE, INSPECTOR_TOKEN_KEY
from runtime.protocol import cbor
from runtime.protocol.cbor_heads import STORED
from runtime.protocol.decode_errors import DecodeError


class TokenSettings(Protocol):
    """What the host decides about tokens."""

    @property
    def fixed_inspector_token(self) -> str | None:
        """The one token of all actors, None when each has its own (INSP-017)."""
        ...


class ReadableRows(Protocol):
    """Where a token is read."""

    async def get(self, table: str, key: bytes) -> bytes | None:
        """One row's value."""
        ...


async def expected_token(settings: TokenSettings, storage: ReadableRows) -> str | None:
    """The token that opens an actor: the fixed one while there is one, else the actor's own (INSP-017)."""
    # Also over a token that is stored already: with it one token opens every actor.
    fixed = settings.fixed_inspector_token
    if fixed is not None:
        return fixed
    return await stored_token(storage)


async def stored_token(storage: ReadableRows) -> str | None:
    """The actor's own token, None before its first start (INSP-012)."""
    row = await storage.get(ACTOR_TABLE, INSPECTOR_TOKEN_KEY)
    token = None if row is None else cbor.loads(row, STORED)
    if not isinstance(token, str | None):
        raise DecodeError("a row of the inspector's token is damaged")
    return token


def header_token(value: str | None) -> str | None:
    """The token of an `Authorization` header; the scheme word is optional and case-insensitive (INSP-016)."""
    if not value:
        return None
    # The scheme is no part of the secret: with or without it the token is the same (INSP-016).
    scheme, space, rest = value.strip().partition(" ")
    return rest.strip() if space and scheme.lower() == "bearer" else value.strip()


async def is_authorized(settings: TokenSettings, storage: ReadableRows, given: str | None) -> bool:
    """Compare in constant time (INSP-015); no stored token admits nobody."""
    expected = await expected_token(settings, storage)
    # As bytes: `compare_digest` refuses text that is not ASCII, and a header may carry any.
    return given is not None and bool(given) and expected is not None and hmac.compare_digest(given.encode(), expected.encode())
