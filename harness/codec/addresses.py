"""Ids, keys, gateway URLs and sub-protocols, as far as a judge needs them (WIRE sections 3, 5 and 8.1)."""

from __future__ import annotations

import base64
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from harness.codec.documents import dump_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_LENGTH = 30
_SAFE = "!'()*"
"""What a JS client leaves as it is in a path segment, besides letters, digits and -_.~"""
_LABEL = b"\x00\x01"
_ENCODING = "rivet_encoding."


def new_id() -> str:
    """A fresh id that no actor has (WIRE-150)."""
    number, digits = int.from_bytes(b"\x01" + uuid.uuid4().bytes + _LABEL, "little"), ""
    for _ in range(_LENGTH):
        number, digit = divmod(number, len(_DIGITS))
        digits += _DIGITS[digit]
    return digits


def key_parts(key: Sequence[str] | str | None) -> tuple[str, ...]:
    """A key as its parts: a text is one part, None the empty key (WIRE section 3.2)."""
    return (key,) if isinstance(key, str) else tuple(key or ())


def serialize_key(parts: Sequence[str]) -> str:
    """A key as the manager writes it (WIRE-160)."""
    escaped = [part.replace("\\", "\\\\").replace("/", "\\/") if part else "\\0" for part in parts]
    return "/".join(escaped) if escaped else "/"


def encode_input(value: Any) -> bytes:
    """Creation input as CBOR (WIRE-170)."""
    return dump_value(value)


@dataclass(frozen=True, slots=True)
class Route:
    """Where a gateway URL leads: the actor's id, or its name and serialized key; `path` is what the actor sees, without query."""

    actor: str
    path: str


def route_of(url: str) -> Route | None:
    """Take a URL apart; None when its path does not lead to an actor (WIRE-220 to WIRE-224)."""
    parts = urlsplit(url)
    pieces = parts.path.split("/", 3)
    if "//" in parts.path or len(pieces) < 3 or pieces[1] != "gateway" or not pieces[2]:
        return None
    path = "/" + (pieces[3] if len(pieces) > 3 else "")
    ours = dict(pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0].startswith("rvt-"))
    if ours:
        key = ours.get("rvt-key")
        return Route(f"{unquote(pieces[2])}/{serialize_key(key.split(',') if key else [])}", path)
    actor_id, at, token = pieces[2].partition("@")
    return None if not actor_id or (at and not token) else Route(unquote(actor_id), path)


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
    """`/gateway/<name><path>?rvt-...`, parameters in the order of WIRE-905; pool, input and region belong to getOrCreate."""
    creating = method == "getOrCreate"
    packed = None if input_cbor is None else base64.urlsafe_b64encode(input_cbor).rstrip(b"=").decode()
    params = {
        "rvt-namespace": namespace,
        "rvt-method": method,
        "rvt-runner": pool if creating else None,
        "rvt-key": ",".join(key) or None,
        "rvt-input": packed if creating else None,
        "rvt-region": region if creating else None,
        "rvt-crash-policy": "sleep" if creating else None,
        "rvt-token": token,
        "rvt-skip-ready-wait": "true" if skip_ready_wait else None,
    }
    query = urlencode({label: value for label, value in params.items() if value is not None}, safe="*").replace("~", "%7E")
    joint = "" if path.endswith(("?", "&")) else "&" if "?" in path else "?"
    return f"/gateway/{quote(name, safe=_SAFE)}{path}{joint}{query}"


def direct_path(actor_id: str, path: str = "", token: str | None = None) -> str:
    """`/gateway/<id>[@<token>]<path>`."""
    at = f"@{quote(token, safe=_SAFE)}" if token else ""
    return f"/gateway/{quote(actor_id, safe=_SAFE)}{at}{path}"


def offered(encoding: str | None, params: Any = None, *, skip_ready_wait: bool = False) -> list[str]:
    """The sub-protocol entries of a `/connect` socket whose path names the actor, in the order of the npm client."""
    entries = ["rivet"] if encoding is None else ["rivet", _ENCODING + encoding]
    if skip_ready_wait:
        entries.append("rivet_skip_ready_wait")
    if params is not None:
        entries.append("rivet_conn_params." + quote(json.dumps(params), safe=_SAFE))
    return entries


def encoding_offered(entries: Iterable[str]) -> str | None:
    """The encoding a client asked for in its sub-protocols; None when it named none."""
    return next((entry.removeprefix(_ENCODING) for entry in entries if entry.startswith(_ENCODING)), None)
