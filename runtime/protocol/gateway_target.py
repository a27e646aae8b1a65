"""Gateway targets taken apart: which actor a request names, and what is left for the actor to see (WIRE-220..229).

Everything works on the bytes of the request line. A framework's parsed query would have decoded escapes that the actor must get as they
were sent, and would have merged or dropped parameters whose repetition is a fault.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any

from runtime.protocol.decode_errors import DecodeError, QueryFault
from runtime.protocol.payload import load_value
from runtime.protocol.values import UNDEFINED

_CRASH_POLICIES = ("restart", "sleep", "destroy")
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_KNOWN = frozenset({"namespace", "method", "key", "runner", "pool", "input", "region", "crash-policy", "token", "skip-ready-wait"})


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
