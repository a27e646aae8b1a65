"""Processes that end with the one that started them, however that ends."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# In the new process and not between fork and exec of the old one: what runs there runs in a copy of a process whose other threads are
# gone, and may wait for a lock of theirs for ever.
_LAUNCH = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):
    sys.exit("its parent is gone")
os.execvp(sys.argv[2], sys.argv[2:])
"""


def mortal(command: Sequence[str], parent: int) -> list[str]:
    """The command as one that the kernel kills when process `parent`, which must be the one that starts it, is gone.

    An engine outlives the process that started it, and the lock on its data with it. Elsewhere than on Linux the command stays as it is.
    """
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", "-c", _LAUNCH, str(parent), *command]
