"""How many files the databases of a host hold open, and whose are closed for a newcomer: those that nobody used for the longest time.

An open file is a limit of the whole process: past it, no socket is accepted and no log is written. So a database that may not be closed
for one that is to be opened costs the newcomer its opening, with an error, and nobody else anything.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import OrderedDict
from itertools import islice
from typing import Protocol

from runtime.errors import make_error

if sys.platform != "win32":
    import resource

FILES = 3000
FILES_OF_ONE = 3
"""The database, its log and the index of the log."""
FILES_FOR_DATABASES = 4
"""A quarter of the file descriptors of the process; the others are for connections of clients."""
FILES_FOR_OTHERS = 64
"""Those of that quarter which storage, logs and code of actors need."""
WAIT = 5.0
"""Seconds that an opening waits while nobody is let in: as long as SQLite waits for a lock."""


LOOKED_AT = 64
"""How many of the oldest are looked at for one that nobody asks anything of, before one is taken that will soon be opened again."""


class Closable(Protocol):
    """An open database, as it is closed for another."""

    def occupy(self, *, waiting: bool) -> bool:
        """Keep its jobs from running; False when one runs, or waits and `waiting` is false."""
        ...

    def let_go(self) -> int | None:
        """Close it; if it must stay open, the number of files that it holds."""
        ...

    def release(self) -> None:
        """Let its jobs run."""
        ...


class OpenFiles:
    """Counts files, least recently used first.

    Args:
        most: Files at a time. The process must be able to have four times as many, or fewer are used.

    Attributes:
        count: Files that are open now.
        closed: How many databases were closed for others so far.
    """

    def __init__(self, most: int) -> None:
        self.most = fitting(most)
        self.count = 0
        self.closed = 0
        self._lock = threading.Lock()
        self._files: OrderedDict[Closable, int] = OrderedDict()
        # Looked at and found to carry what cannot be brought back. Only a job changes that.
        self._kept: dict[Closable, int] = {}
        # Those that found no room: since when, and how many had been let in by then.
        self._refused: dict[Closable, tuple[float, int]] = {}
        self._admitted = 0

    def admit(self, one: Closable, files: int) -> bool:
        """Make room for a database that is about to be opened, and count it; False: there is none now, ask again. Called on a thread.

        Raises:
            ActorError: actor/overloaded: for five seconds nobody's was closed, because all carry what cannot be brought back or are in use.
        """
        with self._lock:
            while self.count + files > self.most:
                if not self._close_oldest():
                    self._refuse(one)
                    return False
            self._refused.pop(one, None)
            self._files[one] = files
            self.count += files
            self._admitted += 1
            return True

    def used(self, one: Closable) -> None:
        """A job of it has ended."""
        with self._lock:
            if one in self._files:
                self._files.move_to_end(one)
            elif (files := self._kept.pop(one, None)) is not None:
                self._files[one] = files

    def closed_by_itself(self, one: Closable) -> None:
        """It holds no files any more."""
        with self._lock:
            self._refused.pop(one, None)
            self.count -= self._files.pop(one, 0) + self._kept.pop(one, 0)

    def _refuse(self, one: Closable) -> None:
        # The machine's time: threads do not live in virtual time. While others get in, its turn will come.
        now = time.monotonic()
        since, admitted = self._refused.setdefault(one, (now, self._admitted))
        if admitted != self._admitted:
            self._refused[one] = (now, self._admitted)
        elif now - since >= WAIT:
            del self._refused[one]
            raise make_error("actor.overloaded", channel="sqlite_files", operation="open sqlite database", capacity=self.most)

    def _close_oldest(self) -> bool:
        """Close the one not used for the longest time; False when there is none that might be closed."""
        one = next((one for one in islice(self._files, LOOKED_AT) if one.occupy(waiting=False)), None)
        # Those that run are few, as threads are.
        one = one or next((one for one in self._files if one.occupy(waiting=True)), None)
        if one is None:
            return False
        files = self._files.pop(one)
        # Not under the lock: a file that is closed is written to the disk, and nobody else needs to wait for that.
        self._lock.release()
        kept: int | None = files
        try:
            kept = one.let_go()
        finally:
            self._lock.acquire()
            self.count += (kept or 0) - files
            if kept is None:
                self.closed += 1
            else:
                self._kept[one] = kept
            one.release()
        return True


def fitting(most: int) -> int:
    """At most so many files that other parts of the process have enough, and no fewer than one database needs."""
    # Windows has no such limit that matters.
    if sys.platform != "win32" and (files := resource.getrlimit(resource.RLIMIT_NOFILE)[0]) != resource.RLIM_INFINITY:
        most = min(most, files // FILES_FOR_DATABASES - FILES_FOR_OTHERS)
    return max(most, FILES_OF_ONE)
