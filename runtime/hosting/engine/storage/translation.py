"""Errors of apsw as `sqlite3` has them: class, text, `sqlite_errorcode` and `sqlite_errorname`."""

from __future__ import annotations

import re
import sqlite3
from typing import NoReturn

import apsw

_CLASSES: dict[int, type[Exception]] = {
    **dict.fromkeys((sqlite3.SQLITE_INTERNAL, sqlite3.SQLITE_NOTFOUND), sqlite3.InternalError),
    **dict.fromkeys(
        (
            sqlite3.SQLITE_ERROR, sqlite3.SQLITE_PERM, sqlite3.SQLITE_ABORT, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED,
            sqlite3.SQLITE_READONLY, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN,
            sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_EMPTY, sqlite3.SQLITE_SCHEMA,
        ),
        sqlite3.OperationalError,
    ),
    **dict.fromkeys((sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH), sqlite3.IntegrityError),
    **dict.fromkeys((sqlite3.SQLITE_MISUSE, sqlite3.SQLITE_RANGE), sqlite3.InterfaceError),
    sqlite3.SQLITE_TOOBIG: sqlite3.DataError,
    sqlite3.SQLITE_NOMEM: MemoryError,
}  # fmt: skip
"""By primary result code; `DatabaseError` for all others."""
_CODES: dict[type[apsw.Error], int] = {apsw.IOError: apsw.SQLITE_IOERR, apsw.CantOpenError: apsw.SQLITE_CANTOPEN}
"""Of errors that Python code raised, and not SQLite; `SQLITE_ERROR` for all others."""
_COUNTS = re.compile(r"\s+The current statement uses (\d+) and there are (\d+) supplied\..*")
_TYPE = re.compile(r"Bad binding argument type supplied - argument #(\d+): type (.*)")
_NO_SEQUENCE = "parameters are of unsupported type"


def reraise(error: BaseException) -> NoReturn:
    """Raise the error that `sqlite3` would have raised, or the error itself."""
    # A file of ours failed: its own error says more than SQLite's code for it.
    own = error.__cause__ if isinstance(error, apsw.IOError) else error
    if isinstance(own, sqlite3.Error):
        raise own
    if isinstance(error, apsw.ConnectionClosedError | apsw.CursorClosedError):
        raise sqlite3.ProgrammingError("Cannot operate on a closed database.") from error
    if isinstance(error, apsw.ThreadingViolationError):
        raise sqlite3.ProgrammingError(str(error)) from error
    if isinstance(error, apsw.BindingsError):
        raise sqlite3.ProgrammingError(_bindings(str(error))) from error
    if isinstance(error, apsw.Error):
        raise _coded(error, getattr(error, "extendedresult", 0) or _CODES.get(type(error), sqlite3.SQLITE_ERROR)) from error
    _of_python(error)
    raise error


def _coded(error: apsw.Error, code: int) -> Exception:
    made = _CLASSES.get(code & 0xFF, sqlite3.DatabaseError)(str(error))
    if isinstance(made, sqlite3.Error):
        made.sqlite_errorcode = code
        made.sqlite_errorname = _name(code)
    return made


def _name(code: int) -> str:
    names = apsw.mapping_extended_result_codes if code > 0xFF else apsw.mapping_result_codes
    return str(names.get(code, "unknown"))


def _bindings(text: str) -> str:
    if (found := _COUNTS.search(text)) is not None:
        used, given = found.groups()
        return f"Incorrect number of bindings supplied. The current statement uses {used}, and there are {given} supplied."
    return _NO_SEQUENCE


def _of_python(error: BaseException) -> None:
    """Raise `sqlite3`'s error for one that Python has for the same."""
    text = str(error)
    if isinstance(error, OverflowError):
        raise OverflowError("Python int too large to convert to SQLite INTEGER") from error
    if isinstance(error, UnicodeDecodeError):
        raise sqlite3.OperationalError(f"Could not decode to UTF-8: {error}") from error
    if isinstance(error, TypeError):
        found = _TYPE.match(text)
        unsupported = f"Error binding parameter {found[1]}: type '{found[2]}' is not supported" if found else _NO_SEQUENCE
        raise sqlite3.ProgrammingError(unsupported) from error
    if isinstance(error, KeyError) and error.args:
        raise sqlite3.ProgrammingError(f"You did not supply a value for binding parameter :{error.args[0]}.") from error
    if isinstance(error, ValueError) and "null character" in text:
        raise sqlite3.ProgrammingError("the query contains a null character") from error
