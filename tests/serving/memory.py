"""How much memory a process of this machine holds."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import sys
import tempfile
from pathlib import Path

_TRIM_THRESHOLD, _ARENA_MAX = -1, -8
_MALLINFO = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")


class _Mallinfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in _MALLINFO]


def resident(pid: int | str = "self") -> int:
    """Bytes of its resident memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def keep_nothing_free() -> None:
    """From here on glibc's allocator gives back what is free, so that resident memory says what is held.

    By itself it keeps up to 64 MiB at the end of each of its heaps, and has eight heaps for each processor, which threads use by turns:
    the most that each ever held stays resident, and not even `malloc_trim` gives it back.
    """
    libc = ctypes.CDLL(None)
    libc.mallopt(_ARENA_MAX, 1)
    libc.mallopt(_TRIM_THRESHOLD, 128 * 1024)


def in_use() -> tuple[int, int]:
    """Bytes that code of C (and large objects of Python) holds of this process, and those of Python's small objects."""
    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = _Mallinfo
    found = libc.mallinfo2()
    with tempfile.TemporaryFile() as file:
        before = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            sys._debugmallocstats()
        finally:
            os.dup2(before, 2)
            os.close(before)
        file.seek(0)
        blocks = re.search(rb"# bytes in allocated blocks\s*=\s*([\d,]+)", file.read())
    assert blocks is not None
    return found.uordblks + found.hblkhd, int(blocks[1].replace(b",", b""))
