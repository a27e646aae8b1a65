"""Files that shrink when their content goes: pages that nothing uses are given back to the file system, a few at a time.

Why not `auto_vacuum = FULL`: every commit that frees a page would move another one, which the next commit wants back. So some pages stay
free, and the rest goes when nobody waits.
"""

from __future__ import annotations

import contextlib
import sqlite3

INCREMENTAL = 2
"""What `PRAGMA auto_vacuum` calls it."""
SPARE = 256
"""Free pages that stay in the file: 1 MiB. What is deleted makes room for what is written next."""
STEP = 512
"""Pages that are given back at once, some milliseconds of work."""
MOST_REWRITTEN = 64 * 1024 * 1024 // 4096
"""Pages of the largest file of an older release that is rewritten so that it can shrink: half a second of work."""


def surplus(connection: sqlite3.Connection) -> int:
    """How many pages are to be given back."""
    free: int = connection.execute("PRAGMA freelist_count").fetchone()[0]
    return max(0, free - SPARE)


def can_shrink(connection: sqlite3.Connection) -> bool:
    """Whether the file was made with what it takes."""
    mode: int = connection.execute("PRAGMA auto_vacuum").fetchone()[0]
    return mode == INCREMENTAL


def give_back(connection: sqlite3.Connection) -> bool:
    """Give a step of free pages back; whether there are more."""
    left = surplus(connection)
    if left:
        # A script, because it stops at a row for each page, without columns, and `execute` takes the first for its end.
        connection.executescript(f"PRAGMA incremental_vacuum({min(left, STEP)})")
    if left > STEP:
        return True
    # The file itself becomes shorter when what is in its log is taken over.
    connection.execute("PRAGMA wal_checkpoint").fetchall()
    return False


def rewrite(connection: sqlite3.Connection) -> bool:
    """Make a file of an older release able to shrink, unless it is too large for that; whether it is.

    A disk without room for the copy, or anything else that goes wrong, leaves the file as it was.
    """
    if not can_shrink(connection) and connection.execute("PRAGMA page_count").fetchone()[0] <= MOST_REWRITTEN:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("VACUUM")
    return can_shrink(connection)


def tidy(connection: sqlite3.Connection) -> None:
    """Give all free pages of an actor's database back, before it is closed."""
    # Whoever wants to read it next may, whatever becomes of this.
    with contextlib.suppress(sqlite3.Error):
        if surplus(connection) and rewrite(connection):
            while give_back(connection):
                pass
