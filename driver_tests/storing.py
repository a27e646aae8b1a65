"""Programs and outcomes of the storage suites."""

from __future__ import annotations

from typing import Any

from harness.testing.interpreter import op, play

MASKED = "An internal error occurred"
CLOSED = (
    "Database is closed. This usually means a background timer (setInterval, setTimeout) or a stray promise is still running after the "
    "actor stopped. Use c.abortSignal to clean up timers before the actor shuts down."
)


def sql(text: Any, *args: Any, **fields: Any) -> dict[str, Any]:
    """One `execute` with these arguments."""
    return op("sql", sql=text, **({"args": list(args)} if args else {}), **fields)


def attempt(*do: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The outcome of these steps: `{ok, value}` or `{ok, error}`."""
    return op("try", do=list(do), **fields)


def raw(octets: bytes) -> dict[str, str]:
    """Bytes as a program has them."""
    return {"$hex": octets.hex()}


def repeated(piece: Any, times: int) -> dict[str, list[Any]]:
    """A text or bytes, many times."""
    return {"$repeat": [piece, times]}


def error_of(outcome: dict[str, Any]) -> dict[str, Any]:
    """The error of an outcome that must be one."""
    assert outcome["ok"] is False, outcome
    error: dict[str, Any] = outcome["error"]
    return error


def plain_error(outcome: dict[str, Any]) -> str:
    """The text of an error that must be a plain one, without group and code."""
    error = error_of(outcome)
    assert (error["group"], error["code"]) == (None, None), error
    return str(error["message"])


def sqlite_error(outcome: dict[str, Any]) -> str:
    """SQLite's text in an error of a statement that was run (DB-143, DB-401)."""
    error = error_of(outcome)
    if (error["group"], error["code"]) == ("sqlite", "remote_execution_failed"):
        return str(error["metadata"]["message"])
    assert (error["group"], error["code"], error["message"]) == ("core", "internal_error", MASKED), error
    assert set(error["metadata"]) == {"error"}
    return str(error["metadata"]["error"])


async def column(actor: Any, text: str, *args: Any) -> list[Any]:
    """The only column of the rows."""
    rows = await play(actor, sql(text, *args))
    assert all(len(row) == 1 for row in rows), rows
    return [value for row in rows for value in row.values()]


def octets(blob: Any) -> bytes:
    """A blob of a result; a runtime may give bytes or a list of numbers, and null for the empty one."""
    return bytes(blob or b"")
