"""How much memory a process of this machine holds."""

from __future__ import annotations

import resource
from pathlib import Path


def resident(pid: int | str = "self") -> int:
    """Bytes of its resident memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()
