"""What a data directory must be before anything in it is touched, and the sentences that say what to do when it is something else.

Everything here only looks: a directory that is refused is as it was before. What a release makes is complete when it gets its name, so that
an empty or half-written file is damage and never the beginning of one.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILE = "runtime.sqlite3"
DATABASES = "actors"
UNFINISHED = ".new"
"""The end of a file's name before it is complete."""
OURS = 0x4163746F
"""`PRAGMA application_id` of `runtime.sqlite3`; releases of format 1 left it 0."""

RELEASE = ("format", b"release")
"""Table and key of the host's row that says which release brought the directory to its format."""

_MAGIC = b"SQLite format 3\x00"
_HEAD_BYTES = 100
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_ALLOWED = ("lock", "lost+found")
_MOST_NAMED = 3
REMEDY = "restore it from a backup, or save what can still be read with `sqlite3 FILE .recover`"


class DataDirectoryError(RuntimeError):
    """A data directory cannot be used; the text says what to do about it."""


class DamagedFileError(sqlite3.DatabaseError):
    """A SQLite file has lost some of its content; the text says which."""


def check_directory(directory: Path) -> bool:
    """Make the directory if there is none; whether it holds data.

    Raises:
        DataDirectoryError: It is a file, cannot be read or written, belongs to something else, or has lost its main file.
    """
    if directory.exists() and not directory.is_dir():
        raise DataDirectoryError(f"{directory} is a file, but actors are kept in a directory; name another place")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        names = sorted(entry.name for entry in directory.iterdir())
    except OSError as error:
        raise unusable(directory, error) from error
    if FILE in names:
        return True
    left = [name for name in names if name.startswith(f"{FILE}-") or (name == DATABASES and any((directory / name).iterdir()))]
    if left:
        raise DataDirectoryError(
            f"data directory {directory} has lost its file {FILE}, but {_listed(left)} is still there;"
            " restore the whole directory from a backup, or move it away to begin anew"
        )  # fmt: skip
    strange = [name for name in names if not name.startswith(".") and name not in (*_ALLOWED, DATABASES, f"{FILE}{UNFINISHED}")]
    if strange:
        raise DataDirectoryError(f"{directory} is no data directory: it holds {_listed(strange)}; name one that is empty or does not exist")
    return False


def check_file(path: Path, newest: int) -> None:
    """Look at the head of `runtime.sqlite3` before SQLite opens it, which may write.

    Raises:
        DataDirectoryError: It cannot be read, belongs to another program, is damaged, or is of a format newer than `newest`.
    """
    head = _head(path)
    if not head.startswith(_MAGIC):
        raise DataDirectoryError(
            f"{path} is {'empty' if not head else 'no SQLite database'} and was left as it is; restore the data directory from a backup,"
            " or move the directory away to begin anew"
        )  # fmt: skip
    owner, found = int.from_bytes(head[68:72], "big"), int.from_bytes(head[60:64], "big")
    if owner not in (0, OURS):
        raise DataDirectoryError(f"{path} belongs to another program; name a data directory of its own for the actors")
    if found > newest:
        raise DataDirectoryError(
            f"data directory {path.parent} has format {found}, and this release knows formats up to {newest}: it was written by release"
            f" {_release(path)}; use that one or a newer one, or name another directory"
        )  # fmt: skip


# The files of actors are named by text. A Path has its parts interned: of ids that come and go by the thousand, each would use up a place
# in the table of all names of the process, which grows when it has none left.


def size_of(path: str) -> int | None:
    """Bytes of a file, None when it is not there.

    Raises:
        OSError: It cannot be told whether it is.
    """
    try:
        return os.stat(path).st_size  # noqa: PTH116 -- text
    except (FileNotFoundError, NotADirectoryError):
        return None


def check_database(path: str) -> bool:
    """Look at the database file of one actor before SQLite opens it, which would begin a new one in place of what was lost.

    Returns:
        Whether there is one.

    Raises:
        DamagedFileError: It is empty, no database at all, or only its log is left.
        OSError: It cannot be read.
    """
    if size_of(path) is not None:
        head = _head(path)
        if not head.startswith(_MAGIC):
            raise DamagedFileError(f"{_shown(path)} is {'empty' if not head else 'no SQLite database'}; {REMEDY}")
        return True
    if size_of(f"{path}-wal"):
        raise DamagedFileError(f"{_shown(path)} is missing, but its log {os.path.split(path)[1]}-wal is still there; {REMEDY}")
    return False


def create_whole(path: str | Path, factory: type[sqlite3.Connection], fill: Callable[[sqlite3.Connection], None]) -> None:
    """Make a SQLite file that has its settings and its tables from the first moment on.

    Args:
        path: Where it is when it is complete.
        factory: What its connection is made of.
        fill: Makes the tables.
    """
    unfinished = f"{path}{UNFINISHED}"
    with suppress(FileNotFoundError):
        os.unlink(unfinished)  # noqa: PTH108 -- text
    connection = sqlite3.connect(unfinished, isolation_level=None, factory=factory)
    try:
        # No journal: what is cut off here is thrown away. The page size, the encoding and the vacuum are fixed with the first page;
        # freed pages can then be given back a few at a time.
        for pragma in ("page_size = 4096", "encoding = 'UTF-8'", "auto_vacuum = INCREMENTAL", "journal_mode = OFF", "synchronous = OFF"):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        fill(connection)
        # It writes the first page even where nothing was made.
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
    finally:
        connection.close()
    # Synchronized by hand, and before the name: after a power cut it is whole or not there.
    descriptor = os.open(unfinished, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(unfinished, path)  # noqa: PTH105 -- text


def unusable(path: Path, error: OSError | sqlite3.Error) -> Exception:
    """What to raise for an error of the system or of SQLite about a file of the data directory itself."""
    if isinstance(error, sqlite3.Error) and isinstance(found := explained(path, error), DamagedFileError):
        return found
    reason = getattr(error, "strerror", None) or error
    return DataDirectoryError(f"{path} cannot be used ({reason}); see that its disk has room and that this process may read and write it")


def explained(path: str | Path, error: sqlite3.Error) -> sqlite3.Error:
    """The same error, in words that say what to do when it is damage."""
    if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:
        return error
    return DamagedFileError(f"{_shown(path)} is damaged ({error}); {REMEDY}")


def _release(path: Path) -> str:
    """Which release made the format of the file, as far as it can be read without changing anything."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?immutable=1", uri=True)) as connection:
            found = connection.execute("SELECT value FROM rows WHERE scope = '' AND tbl = ? AND key = ?", RELEASE).fetchone()
            return str(found[0], "utf-8")
    # Its tables may be others by then.
    except (sqlite3.Error, TypeError, ValueError):
        return "(unknown)"


def _shown(path: str | Path) -> str:
    # What an actor fails with is told to whoever asks: not where the directory of its host is.
    folder, name = os.path.split(path)
    return f"{DATABASES}/{name}" if os.path.split(folder)[1] == DATABASES else str(path)


def _head(path: str | Path) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123 -- text
        return file.read(_HEAD_BYTES)


def _listed(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
