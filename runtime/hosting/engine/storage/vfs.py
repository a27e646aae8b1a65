"""SQLite's way to a `PageFile`: a file system with the open databases in it, before that of the machine.

A journal or a log would be a file of this machine, which the next generation does not find: the pragmas that would make one are answered
and not done. Temporary files, and databases that user code attaches, are files of the machine as they are for any other database.
"""

from __future__ import annotations

import sqlite3
from itertools import count
from typing import TYPE_CHECKING, Any

import apsw

from runtime.hosting.engine.storage.page_file import PAGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.hosting.engine.storage.page_file import PageFile

NAME = "rivet-engine"
_PREFIX = "/:rivet-engine:/"
FIXED = {"journal_mode": "memory", "locking_mode": "exclusive", "page_size": str(PAGE)}
"""Pragmas whose values the commit stands on, and what they answer when they are set. SQLite calls the column by that answer, too."""


class EngineFile:
    """An open file. apsw looks for the methods by name.

    Attributes:
        sealed: Whether the pragmas that the commit stands on have their values for good.
    """

    def __init__(self, pages: PageFile) -> None:
        self._pages = pages
        self.sealed = False

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802 - apsw's name
        """Read."""
        data: bytes = _guarded(self._pages.read, amount, offset)
        return data

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        """Write."""
        _guarded(self._pages.write, bytes(data), offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        """Truncate."""
        self._pages.truncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802
        """`SQLITE_FCNTL_SYNC` came before."""

    def xFileSize(self) -> int:  # noqa: N802
        """In bytes."""
        return self._pages.size * PAGE

    def xFileControl(self, op: int, ptr: int) -> bool:  # noqa: N802
        """Commit, and answer pragmas that must not take effect."""
        # Comes where the sync does, and with `PRAGMA synchronous = OFF`, too.
        if op == apsw.SQLITE_FCNTL_SYNC:
            _guarded(self._pages.sync)
            return True
        if op != apsw.SQLITE_FCNTL_PRAGMA or not self.sealed:
            return False
        pragma = apsw.VFSFcntlPragma(ptr)
        answer = None if pragma.value is None else FIXED.get(pragma.name.lower())
        if answer is not None:
            pragma.result = answer
        return answer is not None

    def xLock(self, level: int) -> None:  # noqa: N802
        """Nobody else has it: the generation is the lock."""

    def xUnlock(self, level: int) -> None:  # noqa: N802
        """See `xLock`."""

    def xCheckReservedLock(self) -> bool:  # noqa: N802
        """See `xLock`."""
        return False

    def xSectorSize(self) -> int:  # noqa: N802
        """A page is written whole."""
        return PAGE

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        """Nothing is promised."""
        return 0

    def xClose(self) -> None:  # noqa: N802
        """The pages are let go by who opened them."""


class EngineVfs(apsw.VFS):
    """The file system. Registered once; it does not own its files."""

    def __init__(self) -> None:
        super().__init__(NAME, "")
        self._files: dict[str, EngineFile] = {}
        self._names = count()

    def add(self, pages: PageFile, actor_id: str) -> str:
        """The name under which SQLite can open it."""
        name = f"{_PREFIX}{actor_id}-{next(self._names)}"
        self._files[name] = EngineFile(pages)
        return name

    def seal(self, name: str) -> None:
        """Let nobody change any more what the commit stands on."""
        self._files[name].sealed = True

    def remove(self, name: str) -> None:
        """It is closed."""
        self._files.pop(name, None)

    def xOpen(self, name: Any, flags: list[int]) -> Any:  # noqa: N802
        """Open one of the files, or one of the machine."""
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if path is None or not path.startswith(_PREFIX):
            return super().xOpen(name, flags)
        if path not in self._files:
            raise apsw.CantOpenError("unable to open database file")
        return self._files[path]

    def xAccess(self, pathname: str, flags: int) -> bool:  # noqa: N802
        """Whether there is such a file."""
        return pathname in self._files if pathname.startswith(_PREFIX) else super().xAccess(pathname, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        """Delete; the files of here are never deleted."""
        if not filename.startswith(_PREFIX):
            super().xDelete(filename, syncdir)

    def xFullPathname(self, name: str) -> str:  # noqa: N802
        """Names of here are whole."""
        return name if name.startswith(_PREFIX) else super().xFullPathname(name)


VFS = EngineVfs()


def _guarded(function: Callable[..., Any], *args: Any) -> Any:
    try:
        return function(*args)
    except sqlite3.Error as error:
        # With the cause: `errors` of the connection gives it back to who runs the statement.
        raise apsw.IOError(str(error)) from error
