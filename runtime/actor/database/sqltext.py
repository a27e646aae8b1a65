"""What must be known about SQL text before SQLite sees it: statements, placeholders, and values for them.

SQLite's own rules are followed for tokens: nothing inside literals, quoted names or comments is a placeholder.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from runtime.protocol.values import UNDEFINED

_TOKEN = re.compile(
    r"""
    (?P<blank>\s+|--[^\n]*|/\*.*?(?:\*/|$))
    |(?P<quoted>'(?:[^']|'')*'?|"(?:[^"]|"")*"?|`(?:[^`]|``)*`?|\[[^\]]*\]?)
    |(?P<word>[A-Za-z_\u0080-\U0010ffff][\w$]*)
    |(?P<number>\d[\w.]*)
    |(?P<param>\?\d*|[:@$][\w$]+)
    |(?P<end>;)
    |(?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_MANUAL = re.compile(r"\s*(?:BEGIN|SAVEPOINT|COMMIT|END|ROLLBACK)\b", re.IGNORECASE)
_TRAILING = re.compile(r"[;\s]+$")

MAX_PARAMETERS = 32766
"""Placeholders of one statement (DB-329)."""

# Statements are few and short. A long text is mostly one with its values inside, which never comes again.
_CACHED_LENGTH = 2000

Bindings = tuple[Any, ...] | dict[str, Any]


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement ready to run."""

    sql: str
    params: Bindings = ()


def is_manual_transaction(sql: str) -> bool:
    """Whether the statement controls a transaction by hand (DB-350)."""
    return _MANUAL.match(sql) is not None


def prepare(sql: str, args: tuple[Any, ...]) -> list[Statement]:
    """The statements of one `execute` call with their values (DB-110..120, DB-130, DB-135..140).

    Raises:
        TypeError: A value of a type that SQLite cannot store.
        ValueError: A missing named value, too many values, an integer out of range, or several
            statements with values.
    """
    if not isinstance(sql, str):
        raise TypeError(f"SQL must be text, got {type(sql).__name__}")
    statements = _statements(sql) if len(sql) <= _CACHED_LENGTH else _statements.__wrapped__(sql)
    if not args:
        return [_bind(statement, slots, ()) for statement, slots in statements]
    if len(statements) > 1:
        raise ValueError("sqlite execute only supports a single statement")
    if len(args) == 1 and isinstance(args[0], Mapping):
        values = {str(key): bindable(value) for key, value in args[0].items()}
        return [_bind_named(statement, slots, values) for statement, slots in statements]
    # The mistake of everybody who comes from `sqlite3`: a list there holds the values, here it would be one of them.
    if len(args) == 1 and isinstance(args[0], (list, tuple)):
        raise TypeError("unsupported bind parameter type: object")
    values_in_order = tuple(bindable(value) for value in args)
    return [_bind(statement, slots, values_in_order) for statement, slots in statements]


def bindable(value: Any) -> Any:
    """Check one value: null, integer, float, text or bytes (DB-116, DB-117, DB-120)."""
    if value is None or type(value) in (str, float, bytes):
        return value
    # Before `int`, of which it is a kind: it would come back as a number (DB-117).
    if isinstance(value, bool):
        raise TypeError("unsupported sqlite binding type: boolean")
    if isinstance(value, int):
        # Python would raise OverflowError, but later, on the database's thread, as if SQLite had failed.
        if not -(2**63) <= value < 2**63:
            raise ValueError(f"integer out of the range of SQLite: {value}")
        return int(value)
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, (str, float, bytes)):
        return value
    kind = "undefined" if value is UNDEFINED else "object"
    raise TypeError(f"unsupported sqlite binding type: {kind}")


@lru_cache(maxsize=256)
def _statements(sql: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Statements in order with their placeholders, without those that are blank or only a comment."""
    # One statement with its semicolon is the usual text and need not be cut into tokens.
    trimmed = _TRAILING.sub("", sql)
    pieces = _split(sql) if ";" in trimmed else [trimmed]
    return tuple((piece, _placeholders(piece)) for piece in pieces if _says_something(piece))


def _split(sql: str) -> list[str]:
    statements: list[str] = []
    start = 0
    for token in _TOKEN.finditer(sql):
        # The bodies of triggers contain semicolons: only SQLite knows where such a statement ends.
        if token.lastgroup == "end" and sqlite3.complete_statement(sql[start : token.end()]):
            statements.append(sql[start : token.end()])
            start = token.end()
    return [*statements, sql[start:]]


def _says_something(sql: str) -> bool:
    return any(token.lastgroup not in ("blank", "end") for token in _TOKEN.finditer(sql))


def _placeholders(sql: str) -> tuple[str, ...]:
    """Placeholders by index, as SQLite numbers them; an index without a name is `?`."""
    if not any(sigil in sql for sigil in "?:@$"):
        return ()
    slots: list[str] = []
    for token in _TOKEN.finditer(sql):
        if token.lastgroup != "param":
            continue
        text = token.group()
        if text == "?":
            slots.append(text)
        elif text[0] == "?":
            # `?999999999` must not make a list of that length; SQLite itself refuses the statement.
            number = min(int(text[1:]), MAX_PARAMETERS)
            slots.extend(["?"] * (number - len(slots)))
        elif text not in slots:
            slots.append(text)
    return tuple(slots)


def _bind_named(sql: str, slots: tuple[str, ...], values: Mapping[str, Any]) -> Statement:
    if all(slot[0] == "?" for slot in slots):
        return _bind(sql, slots, tuple(values[name] for name in sorted(values)))  # DB-115
    return _bind(sql, slots, tuple(_look_up(slot, values) for slot in slots))


def _look_up(slot: str, values: Mapping[str, Any]) -> Any:
    bare = slot[1:]
    for key in (slot, bare, f":{bare}", f"@{bare}", f"${bare}"):
        if key in values:
            return values[key]
    raise ValueError(f"missing bind parameter: {slot}")


def _bind(sql: str, slots: tuple[str, ...], values: tuple[Any, ...]) -> Statement:
    """Bind one value per slot; slots without a value are NULL (DB-118)."""
    if len(values) > len(slots):
        raise ValueError(f"too many bind parameters: {len(values)} for {len(slots)} placeholders")
    values += (None,) * (len(slots) - len(values))
    if all(slot[0] == "?" for slot in slots):
        return Statement(sql, values)
    names = {slot[1:]: value for slot, value in zip(slots, values, strict=True)}
    if len(names) == len(slots) and "" not in names:
        return Statement(sql, names)
    # Python binds by bare name or by position, never both: a statement that mixes forms is numbered throughout.
    return Statement(_numbered(sql, slots), values)


def _numbered(sql: str, slots: tuple[str, ...]) -> str:
    pieces: list[str] = []
    largest = 0
    for token in _TOKEN.finditer(sql):
        text = token.group()
        if token.lastgroup == "param":
            if text == "?":
                largest += 1
                text = f"?{largest}"
            elif text[0] != "?":
                text = f"?{slots.index(text) + 1}"
            largest = max(largest, int(text[1:]))
        pieces.append(text)
    return "".join(pieces)
