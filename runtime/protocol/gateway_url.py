"""Gateway URLs: built by clients, taken apart by servers into the actor they name and what is left for it to see (WIRE-220..229, WIRE-905).

Taking apart works on the bytes of the request line. A framework's parsed query would have decoded escapes that the actor must get as they
were sent, and would have merged or dropped parameters whose repetition is a fault.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

from runtime.protocol.decode_errors import DecodeError, QueryFault
from runtime.protocol.payload import blob, load_value
from runtime.protocol.values import UNDEFINED

if TYPE_CHECKING:
    from collections.abc import Sequence

_CRASH_POLICIES = ("restart", "sleep", "destroy")
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_KNOWN = frozenset({"namespace", "method", "key", "runner", "pool", "input", "region", "crash-policy", "token", "skip-ready-wait"})
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


@dataclass(frozen=True, slots=True)
class DirectRoute:
    """`/gateway/{actorId}[@{token}]/...`; `forward` is what the actor sees: path plus raw query."""

    actor_id: str
    token: str | None
    forward: str


@dataclass(frozen=True, slots=True)
class QueryRoute:
    """`/gateway/{name}/...?rvt-...`; `input` is decoded, `UNDEFINED` when absent."""

    name: str
    namespace: str
    method: str
    key: tuple[str, ...]
    pool: str | None
    input: Any
    region: str | None
    crash_policy: str
    token: str | None
    skip_ready_wait: bool
    forward: str


def parse_gateway_path(raw_path: bytes, raw_query: bytes) -> DirectRoute | QueryRoute | None:
    """Take a request target below `/gateway` apart; None means that it is not routed to an actor (WIRE-220..226).

    Raises:
        QueryFault: The query form is malformed (WIRE-229).
    """
    # Everything after a fragment's sign belongs to it, the query too (WIRE-226).
    raw_path, fragment, _ = raw_path.partition(b"#")
    raw_query = b"" if fragment else raw_query.partition(b"#")[0]
    # Not merged but refused (WIRE-221), or an actor could be reached under several spellings of its path.
    if b"//" in raw_path or (not raw_path.startswith(b"/gateway/") and raw_path != b"/gateway"):
        return None
    segment, _, rest = raw_path[len(b"/gateway/") :].partition(b"/")
    parts = raw_query.split(b"&") if raw_query else []
    # Any one parameter of ours makes it the query form, also a misspelled one, which is then a fault and not an actor id (WIRE-220).
    ours = [part for part in parts if part.startswith(b"rvt-")]
    if ours:
        # Split and joined, never parsed: what is left must reach the actor byte for byte (WIRE-225).
        kept = b"&".join(part for part in parts if not part.startswith(b"rvt-"))
        return _query_route(segment, ours, _forward(rest, kept))
    actor_id, at, token = segment.partition(b"@")
    if not actor_id or (at and not token):
        return None
    # An absent token differs from an empty one, which is no route at all.
    decoded = None if not at else _text(token)
    return DirectRoute(_text(actor_id), decoded, _forward(rest, raw_query))


def _forward(rest: bytes, query: bytes) -> str:
    return "/" + rest.decode("latin-1") + (f"?{query.decode('latin-1')}" if query else "")


def _text(raw: bytes) -> str:
    try:
        return _unquote(raw)
    except ValueError:
        # Escapes that are no UTF-8 name no actor; the id is looked up and refused as it stands (WIRE-223).
        return raw.decode("latin-1")


def _unquote(raw: bytes) -> str:
    """Undo percent escapes. As at the live peer an escape without two hex digits stays as it is; bytes that are no text are a fault."""
    return re.sub(rb"%([0-9A-Fa-f]{2})", lambda match: bytes([int(match[1], 16)]), raw).decode()


def _query_route(segment: bytes, parts: list[bytes], forward: str) -> QueryRoute:
    # A token in the path belongs to the direct form. Taken for part of the name it would end up in logs and listings.
    if b"@" in segment:
        raise QueryFault("query_path_token_syntax")
    name = _decode_param("name", segment)
    if not name:
        raise QueryFault("query_empty_actor_name")
    params = _query_params(parts)
    namespace, method = params.get("namespace"), params.get("method")
    if namespace is None:
        raise _invalid("missing field `namespace`")
    if method is None:
        raise _invalid("missing field `method`")
    if method not in ("get", "getOrCreate"):
        raise _invalid(f"unknown method: {method}, expected get or getOrCreate")
    policy = params.get("crash-policy", "sleep")
    if policy not in _CRASH_POLICIES:
        raise _invalid(f"unknown crash policy: {policy}, expected restart, sleep, or destroy")
    skip = params.get("skip-ready-wait", "false")
    if skip not in _BOOLEANS:
        raise _invalid(f"invalid skip-ready-wait: {skip}, expected true, false, 1, or 0")
    # Of several faults the first in this order is told (WIRE-229).
    if method == "get" and any(one in params for one in ("input", "region", "crash-policy", "runner")):
        raise QueryFault("query_get_disallowed_params")
    pool = params.get("pool", params.get("runner"))
    if method == "getOrCreate" and pool is None:
        raise QueryFault("query_missing_pool")
    key = params.get("key")
    return QueryRoute(
        name,
        namespace,
        method,
        tuple(key.split(",")) if key else (),
        pool,
        _decode_input(params["input"]) if "input" in params else UNDEFINED,
        params.get("region"),
        policy,
        params.get("token"),
        _BOOLEANS[skip],
        forward,
    )


def _query_params(parts: list[bytes]) -> dict[str, str]:
    params: dict[str, str] = {}
    for part in parts:
        raw_name, _, raw_value = part.partition(b"=")
        full = raw_name.decode("latin-1")
        name = full.removeprefix("rvt-")
        # First or last wins differs between parsers, so a repetition is refused.
        if name in params:
            raise QueryFault("query_duplicate_param", name=full)
        if name not in _KNOWN:
            raise _invalid(f"unknown field `{full}`")
        # `+` before the escapes: an escaped plus has to stay one (WIRE-227).
        params[name] = _decode_param(full, raw_value.replace(b"+", b" "))
    return params


def _decode_param(name: str, raw: bytes) -> str:
    try:
        return _unquote(raw)
    except ValueError:
        raise QueryFault("query_invalid_percent_encoding", name=name) from None


def _decode_input(text: str) -> Any:
    # Python's decoder skips what is not of the alphabet, and would take a damaged input for a shorter one.
    if not re.fullmatch(r"[A-Za-z0-9_-]*", text):
        raise QueryFault("query_invalid_base64_input")
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise QueryFault("query_invalid_base64_input") from None
    try:
        return load_value(data)
    except DecodeError as error:
        raise QueryFault("query_invalid_cbor_input", detail=str(error)) from None


def _invalid(detail: str) -> QueryFault:
    return QueryFault("query_invalid_params", detail=detail)
