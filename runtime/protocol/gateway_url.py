"""Gateway URLs as clients build them; `gateway_target` takes them apart (WIRE section 5, WIRE-905)."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

from runtime.protocol.payload import blob

if TYPE_CHECKING:
    from collections.abc import Sequence

_SEGMENT_SAFE = "!'()*"  # what encodeURIComponent leaves alone besides letters, digits and -_.~


def direct_path(actor_id: str, path: str = "", token: str | None = None) -> str:
    """`/gateway/<id>[@<token>]<path>`; `path` is empty or starts with `/` and may carry a query."""
    at = f"@{quote(token, safe=_SEGMENT_SAFE)}" if token else ""
    return f"/gateway/{quote(actor_id, safe=_SEGMENT_SAFE)}{at}{path}"


def query_path(
    name: str,
    *,
    namespace: str,
    method: str,
    key: Sequence[str],
    path: str = "",
    pool: str | None = None,
    input_cbor: bytes | None = None,
    region: str | None = None,
    token: str | None = None,
    skip_ready_wait: bool = False,
) -> str:
    """`/gateway/<name><path>?rvt-...` with the parameters in the order of WIRE-905; pool, input, region belong to getOrCreate."""
    # The order is fixed, so that one query has one URL (WIRE-905).
    params = [("rvt-namespace", namespace), ("rvt-method", method)]
    creating = method == "getOrCreate"
    if creating and pool is not None:
        # Not `rvt-pool`, which servers take, too: WIRE-905 names this one.
        params.append(("rvt-runner", pool))
    if key:
        params.append(("rvt-key", ",".join(key)))
    if creating and input_cbor is not None:
        params.append(("rvt-input", base64.urlsafe_b64encode(input_cbor).rstrip(b"=").decode()))
    if creating and region is not None:
        params.append(("rvt-region", region))
    # A `get` with any of these would be refused (WIRE-229).
    if creating:
        params.append(("rvt-crash-policy", "sleep"))
    if token is not None:
        params.append(("rvt-token", token))
    if skip_ready_wait:
        params.append(("rvt-skip-ready-wait", "true"))
    query = "&".join(f"{label}={_form(value)}" for label, value in params)
    # The path may have a query of its own, which comes first and stays untouched.
    joint = "" if path.endswith(("?", "&")) else "&" if "?" in path else "?"
    return f"/gateway/{quote(name, safe=_SEGMENT_SAFE)}{path}{joint}{query}"


def _form(value: str) -> str:
    # As `URLSearchParams` writes them: space as plus, and of the rest only `*-._` as it is.
    return quote_plus(value, safe="*").replace("~", "%7E")


def encode_input(value: Any) -> bytes:
    """Creation input as CBOR with the compat layer applied (WIRE-170)."""
    return blob(value)
