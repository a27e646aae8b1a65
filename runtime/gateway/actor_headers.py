"""The headers that say which actor answered; every answer of a live generation has them, whichever host runs it (WIRE-254)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.replies import header_value

if TYPE_CHECKING:
    from runtime.replies import Headers


def actor_headers(actor_id: str, generation: int, key: str | None) -> Headers:
    """The headers of every response of a live generation (WIRE-254, WIRE-163)."""
    headers = [(b"x-rivet-actor", actor_id.encode()), (b"x-rivet-actor-generation", b"%d" % generation)]
    shown = "" if key in (None, "/") else key or ""
    # A key may hold any character, a header no control characters: the actor is then named by its id alone.
    value = header_value(shown)
    if value is not None:
        headers.append((b"x-rivet-actor-key", value))
    return tuple(headers)
