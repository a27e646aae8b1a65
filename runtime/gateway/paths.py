"""What a path means to an actor, after the gateway prefix was removed (section 6 of the wire protocol)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from urllib.parse import unquote_to_bytes

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


class Kind(Enum):
    """The routes of an actor's HTTP face."""

    ACTION = auto()
    QUEUE = auto()
    REQUEST = auto()
    INSPECTOR = auto()
    BANNER = auto()
    HEALTH = auto()
    METADATA = auto()
    METRICS = auto()
    UNKNOWN = auto()
    UNREADABLE = auto()


METHODS: dict[Kind, str] = {
    Kind.ACTION: "POST",
    Kind.QUEUE: "POST",
    Kind.BANNER: "GET",
    Kind.HEALTH: "GET",
    Kind.METADATA: "GET",
    Kind.METRICS: "GET",
}
"""The only method of a route (WIRE-301); routes not listed take any."""

# Names come from callers: bounded in number and length, or anybody could fill the memory with them.
MAX_CACHED_LENGTH = 256
_FIXED = {"/": Kind.BANNER, "/health": Kind.HEALTH, "/metadata": Kind.METADATA, "/metrics": Kind.METRICS}


@dataclass(frozen=True, slots=True)
class ActorPath:
    """A route with its variable part: action or queue name, or the path a raw request handler sees (WIRE-340)."""

    kind: Kind
    name: str = ""


def parse_actor_path(path: str) -> ActorPath:
    """Find the route of a path; names are percent-decoded (WIRE-302)."""
    return _cached(path) if len(path) <= MAX_CACHED_LENGTH else _parse(path)


def _parse(path: str) -> ActorPath:
    fixed = _FIXED.get(path)
    if fixed is not None:
        return ActorPath(fixed)
    for prefix, kind in (("/action/", Kind.ACTION), ("/queue/", Kind.QUEUE)):
        if path.startswith(prefix):
            segment = path[len(prefix) :]
            # An escaped slash is part of a name, a plain one makes another path.
            return _named(kind, segment) if segment and "/" not in segment else ActorPath(Kind.UNKNOWN)
    if path == "/request" or path.startswith("/request/"):
        return ActorPath(Kind.REQUEST, path[8:] or "/")
    if path.startswith("/inspector/"):
        return ActorPath(Kind.INSPECTOR, path)
    return ActorPath(Kind.UNKNOWN)


_cached = lru_cache(maxsize=4096)(_parse)


def _named(kind: Kind, segment: str) -> ActorPath:
    # `unquote_to_bytes` would leave a broken escape as it stands and make up a name that nobody sent (WIRE-255).
    if _BAD_ESCAPE.search(segment):
        return ActorPath(Kind.UNREADABLE)
    try:
        return ActorPath(kind, unquote_to_bytes(segment).decode("utf-8"))
    except UnicodeDecodeError:
        return ActorPath(Kind.UNREADABLE)
