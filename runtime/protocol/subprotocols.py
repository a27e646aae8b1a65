"""The entries a WebSocket client offers as sub-protocols: they carry what headers carry elsewhere (WIRE section 8.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

PROTOCOL: Final = "rivet"
ENCODING_PREFIX: Final = "rivet_encoding."
TARGET_PREFIX: Final = "rivet_target."
ACTOR_PREFIX: Final = "rivet_actor."
TOKEN_PREFIX: Final = "rivet_token."
PARAMS_PREFIX: Final = "rivet_conn_params."
INSPECTOR_TOKEN_PREFIX: Final = "rivet_inspector_token."
SKIP_READY_WAIT: Final = "rivet_skip_ready_wait"

_SAFE = "!'()*"  # what encodeURIComponent leaves alone besides letters, digits and -_.~


def offered(
    encoding: str,
    *,
    actor_id: str | None = None,
    token: str | None = None,
    skip_ready_wait: bool = False,
    params_json: str | None = None,
) -> list[str]:
    """The entries in the order of the JS client.

    Args:
        encoding: Name of the encoding.
        actor_id: The actor to route to, when no path names it (WIRE-242).
        token: Goes with `actor_id` only; elsewhere the URL carries it.
        skip_ready_wait: Whether to reach the actor even when it is not ready (WIRE-230).
        params_json: Connection parameters as JSON text.
    """
    entries = [PROTOCOL, ENCODING_PREFIX + encoding]
    if actor_id is not None:
        entries += [f"{TARGET_PREFIX}actor", ACTOR_PREFIX + quote(actor_id, safe=_SAFE)]
        if token is not None:
            entries.append(TOKEN_PREFIX + quote(token, safe=_SAFE))
    if skip_ready_wait:
        entries.append(SKIP_READY_WAIT)
    if params_json is not None:
        entries.append(PARAMS_PREFIX + quote(params_json, safe=_SAFE))
    return entries


def entry_value(entries: Iterable[str], prefix: str) -> str | None:
    """The rest of the first entry that starts with `prefix`, still percent-encoded; unknown entries do not matter (WIRE-502)."""
    return next((entry[len(prefix) :] for entry in entries if entry.startswith(prefix)), None)
