"""Values for the placeholders of SQL: which types may be bound, and which value goes where (DB-110..120)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runtime.actor.database.statements import numbered, statements
from runtime.protocol.values import UNDEFINED

Bindings = tuple[Any, ...] | dict[str, Any]


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement ready to run."""

    sql: str
    params: Bindings = ()


def prepare(sql: str, args: tuple[Any, ...]) -> list[Statement]:
    """The statements of one `execute` call with their values (DB-110..120, DB-130, DB-135..140).

    Raises:
        TypeError: A value of a type that SQLite cannot store.
        ValueError: A missing named value, too many values, an integer out of range, or several
            statements with values.
    """
    if not isinstance(sql, str):
        raise TypeError(f"SQL must be text, got {type(sql).__name__}")
    found = statements(sql)
    if not args:
        return [_bind(statement, slots, ()) for statement, slots in found]
    if len(found) > 1:
        raise ValueError("sqlite execute only supports a single statement")
    if len(args) == 1 and isinstance(args[0], Mapping):
        values = {str(key): bindable(value) for key, value in args[0].items()}
        return [_bind_named(statement, slots, values) for statement, slots in found]
    # The mistake of everybody who comes from `sqlite3`: a list there holds the values, here it would be one of them.
    if len(args) == 1 and isinstance(args[0], (list, tuple)):
        raise TypeError("unsupported bind parameter type: object")
    values_in_order = tuple(bindable(value) for value in args)
    return [_bind(statement, slots, values_in_order) for statement, slots in found]


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
    return Statement(numbered(sql, slots), values)
