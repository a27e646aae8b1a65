"""Stored rows, whole or damaged: of actors, connections, schedules, queues and workflows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fuzz.grammars import documents
from fuzz.grammars.documents import ANY
from fuzz.grammars.mutation import seldom_mutated
from fuzz.source import pick

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

NOW = 1_700_000_000_000
RECORD = ["a" * 30, "n" * 30, "name", "key", "default", NOW, b"\x80", 1, NOW, NOW, NOW, NOW, NOW, ANY, NOW]
HEADERS = (("a", "b"),)
FIXED = (
    ("parameters", ANY), ("gatewayId", b"1234"), ("requestId", b"1234"), ("requestUrl", "http://127.0.0.1/x"),
    ("requestHeaders", HEADERS),
)  # fmt: skip
CHANGING = (("state", ANY), ("subscriptions", ["said"]), ("serverMessageIndex", 1))
SPEC = (("kind", "cron"), ("expression", "* * * * *"), ("timezone", "UTC"), ("interval_ms", 1000))
SCHEDULE = (("action", "echo"), ("args", [ANY]), ("trigger_at", NOW), ("spec", SPEC), ("last_run_at", NOW), ("max_history", 10))
MESSAGE = ["work", b"\x80", NOW]
WORKFLOW: tuple[tuple[bytes, Any], ...] = (
    (b"n0", "step"),
    (b"eid", (("location", ["step", 1]), ("kind", "step"), ("data", (("output", ANY),)), ("order", 1))),
    (b"mid", (("status", "completed"), ("attempts", 1), ("created_at", NOW), ("details", ANY))),
    (b"s", "running"),
    (b"o", ANY),
    (b"u", True),
)


def row(shape: Any) -> Callable[[Random], bytes]:
    """A grammar of one row."""
    return lambda chance: seldom_mutated(chance, documents.as_cbor(chance, documents.shaken(chance, shape, 0.08)), 0.25)


def connection(chance: Random) -> tuple[bytes, bytes]:
    """The two rows of a connection."""
    return row(FIXED)(chance), row(CHANGING)(chance)


def workflow(chance: Random) -> list[tuple[bytes, bytes]]:
    """The rows of a workflow; keys are seldom damaged."""
    kept = [pair for pair in WORKFLOW if chance.random() < 0.8]
    rows = [(seldom_mutated(chance, key, 0.05), row(shape)(chance)) for key, shape in kept]
    return [*rows, pick(chance, rows)] if rows and chance.random() < 0.2 else rows
