"""A connection to the SQLite file of one actor: fixed settings, nothing of the runtime's own inside (that is `bootstrap.py`).

Why apart: another host keeps the pages elsewhere and connects otherwise, with other journals, but what a database holds is the same.
"""

from __future__ import annotations

import os
import sqlite3

from runtime.actor.database.handles.carrying import CarryingConnection, carrying
from runtime.actor.database.handles.page_limit import CACHE_PAGES
from runtime.storage.data_directory import DamagedFileError, check_database, create_whole

MAX_PAGES = 10 * 1024**3 // 4096
"""10 GiB of pages (DB-320)."""
MAX_VARIABLES = 32766


def connect(
    path: str, synchronous: str, factory: type[sqlite3.Connection] = sqlite3.Connection, *, create: bool = True
) -> CarryingConnection:
    """Open the file, or the `file:` URI, with the settings of DB-009. A connection may be used on any one thread at a time.

    Args:
        path: The file.
        synchronous: What a commit survives.
        factory: The class of the connection.
        create: Whether a file that is not there is made; where there was one, an empty one must not answer for it.

    Raises:
        DamagedFileError: The file is no database, or it is missing and its log is not, or it may not be made.
    """
    in_memory, kind = path.startswith("file:"), carrying(factory)
    # SQLite would take a file that lost all it had for a new one.
    if not in_memory and not check_database(path):
        if not create:
            raise DamagedFileError(f"{os.path.split(path)[1]} is not there any more; restore it from a backup")
        create_whole(path, factory, _with_nothing)
    connection = sqlite3.connect(path, uri=in_memory, isolation_level=None, check_same_thread=False, factory=kind)
    try:
        connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, MAX_VARIABLES)
        # The page size and the encoding come first: SQLite fixes them when it writes the first page, which the journal mode does.
        for pragma in ("page_size = 4096", "encoding = 'UTF-8'", "journal_mode = WAL", f"synchronous = {synchronous}",
                       "foreign_keys = ON", f"max_page_count = {MAX_PAGES}", f"cache_size = {CACHE_PAGES}"):  # fmt: skip
            connection.execute(f"PRAGMA {pragma}").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def _with_nothing(_: sqlite3.Connection) -> None:
    """What it holds is made by the start, in a transaction."""
