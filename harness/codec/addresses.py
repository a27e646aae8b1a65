"""Ids, keys, gateway URLs and sub-protocols, as far as a judge needs them (WIRE sections 3, 5 and 8.1)."""

from __future__ import annotations

import base64
import json
import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus, urlsplit

from harness.codec.documents import dump_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Written anew and not taken from the client: what the judge reads an address with must not be what wrote it.
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
_ESCAPES = {"\\": r"\\", "/": r"\/"}
_GATEWAY = re.compile(r"/gateway/(?P<who>[^/]+)(?P<path>/.*)?")
_ID = re.compile(r"(?P<id>[^@]+)(?:@(?P<token>.+))?")
_ENCODING = "rivet_encoding."


@dataclass(frozen=True, slots=True)
class Route:
    """Where a gateway URL leads: the actor's id, or its name and serialized key; `path` is what the actor sees, without query."""

    actor: str
    path: str


def route_of(url: str) -> Route | None:
    """Take a URL apart; None when its path does not lead to an actor (WIRE-220 to WIRE-224)."""
    address = urlsplit(url)
    # A path with an empty part leads nowhere (WIRE-221): to normalise it would reach an actor that nobody named.
    found = None if "//" in address.path else _GATEWAY.fullmatch(address.path)
    if found is None:
        return None
    who, path = found["who"], found["path"] or "/"
    # Any `rvt-` parameter makes it the query form; by their mere presence (WIRE-220).
    named = re.findall(r"(?:^|&)(rvt-[^=&]*)=?([^&]*)", address.query)
    if named:
        parts = [unquote_plus(value).split(",") for name, value in named if name == "rvt-key" and value]
        return Route(f"{unquote(who)}/{serialize_key(parts[0] if parts else [])}", path)
    direct = _ID.fullmatch(who)
    return direct and Route(unquote(direct["id"]), path)


def key_parts(key: Sequence[str] | str | None) -> tuple[str, ...]:
    """A key as its parts: a text is one part, None the empty key (WIRE section 3.2)."""
    match key:
        case None:
            return ()
        case str():
            return (key,)
        case _:
            return tuple(key)


def serialize_key(parts: Sequence[str]) -> str:
    """A key as the manager writes it (WIRE-160)."""
    return "/".join("".join(_ESCAPES.get(one, one) for one in part) or r"\0" for part in parts) if parts else "/"


def new_id() -> str:
    """A fresh id that no actor has (WIRE-150): version, 16 random bytes, the label of the datacenter; least significant digit first."""
    number = sum(byte << 8 * place for place, byte in enumerate((1, *uuid.uuid4().bytes, 0, 1)))
    return "".join(_BASE36[number // 36**place % 36] for place in range(30))


def encode_input(value: Any) -> bytes:
    """Creation input as CBOR (WIRE-170)."""
    return dump_value(value)


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
    creates = method == "getOrCreate"
    given: list[tuple[str, str | None]] = [("namespace", namespace), ("method", method)]
    given += [("runner", pool)] if creates else []
    given += [("key", ",".join(key) or None)]
    given += [("input", _unpadded(input_cbor)), ("region", region), ("crash-policy", "sleep")] if creates else []
    given += [("token", token), ("skip-ready-wait", "true" if skip_ready_wait else None)]
    query = "&".join(f"rvt-{label}={_form(value)}" for label, value in given if value is not None)
    joint = "?" if "?" not in path else "" if path[-1] in "?&" else "&"
    return f"/gateway/{_segment(name)}{path}{joint}{query}"


def direct_path(actor_id: str, path: str = "", token: str | None = None) -> str:
    """`/gateway/<id>[@<token>]<path>`."""
    who = [actor_id, token] if token else [actor_id]
    return "/gateway/" + "@".join(map(_segment, who)) + path


def offered(encoding: str | None, params: Any = None, *, skip_ready_wait: bool = False) -> list[str]:
    """The sub-protocol entries of a `/connect` socket whose path names the actor, in the order of WIRE section 8.1."""
    entries = {
        "rivet": True,
        f"{_ENCODING}{encoding}": encoding is not None,
        "rivet_skip_ready_wait": skip_ready_wait,
        f"rivet_conn_params.{_segment(json.dumps(params))}": params is not None,
    }
    return [entry for entry, wanted in entries.items() if wanted]


def encoding_offered(entries: Iterable[str]) -> str | None:
    """The encoding a client asked for in its sub-protocols; None when it named none."""
    named = [entry[len(_ENCODING) :] for entry in entries if entry.startswith(_ENCODING)]
    # The first: a server that took another one would speak an encoding that the client did not ask for first.
    return named[0] if named else None


def _unpadded(data: bytes | None) -> str | None:
    return None if data is None else base64.urlsafe_b64encode(data).decode().rstrip("=")


def _segment(text: str) -> str:
    """As a JS client escapes a path segment."""
    # The set of `encodeURIComponent`: other characters escaped would be right as a URL, and differ from the bytes of the npm client.
    return quote(text, safe="!'()*")


def _form(text: str) -> str:
    """As a JS client escapes a value of a query."""
    return quote_plus(text, safe="*").replace("~", "%7E")
