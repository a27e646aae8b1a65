"""The inspector token of an actor as operators read it (INSP-012)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cbor2

if TYPE_CHECKING:
    from runtime.hosting.standalone.host import StandaloneHost


async def read_inspector_token(host: StandaloneHost, actor_id: str) -> str | None:
    """The stored token, None before the first start or while one fixed token replaces all (INSP-017)."""
    if host.options.fixed_inspector_token is not None:
        return None
    row = await host.storage.get(actor_id, "actor", b"inspector")
    return None if row is None else str(cbor2.loads(row))
