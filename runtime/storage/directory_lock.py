"""One process per data directory."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class StorageLockedError(RuntimeError):
    """Another process (or another storage of this process) uses the data directory."""

    def __init__(self, directory: Path, owner: str) -> None:
        holder = f"process {owner}" if owner else "another process"
        super().__init__(f"data directory {directory} is in use by {holder}; stop it or choose another directory")


class StorageVersionError(RuntimeError):
    """The data was written by a newer runtime (DB-012)."""

    def __init__(self, found: int, supported: int) -> None:
        super().__init__(f"actor sqlite internal schema version {found} is newer than supported version {supported}")


class DirectoryLock:
    """An advisory lock on the file `lock` of a directory; the kernel releases it when the process dies."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock or raise `StorageLockedError`; never waits."""
        # The file is never removed: between two processes that remove and create it each could hold a lock of its own.
        descriptor = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            # A lock of the kernel and not the existence of a file: after `kill -9` nobody has to clean up.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(descriptor, 32).decode(errors="replace").strip()
            os.close(descriptor)
            raise StorageLockedError(self._directory, owner) from None
        # Who holds it is only for the message of the next one that tries.
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back; a second call is no error."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
