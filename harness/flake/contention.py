"""Making the machine busy: processes that burn CPU and processes that write and sync, for as long as the block lasts.

Workers that run meanwhile have `CONFORM_CONTENTION` in their environment.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

VARIABLE = "CONFORM_CONTENTION"
# Both end with their parent, even when it is killed: their standard input closes.
_WATCH = "import os, sys, threading; threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()\n"
_CPU = _WATCH + "while True: sum(range(10000))"
_DISK = _WATCH + (
    "file = open(sys.argv[1], 'wb')\nwhile True:\n    file.seek(0); file.write(os.urandom(1 << 20)); file.flush(); os.fsync(file.fileno())"
)


@asynccontextmanager
async def contention(burners: int | None = None) -> AsyncIterator[None]:
    """Keep `burners` processors (default: all) and the disk busy."""
    count = burners or os.cpu_count() or 1
    with tempfile.TemporaryDirectory(prefix="conform-contention-") as directory:
        # Processes and no threads: the interpreter's lock would make threads wait for each other instead of for the machine.
        commands = [[_CPU]] * count + [[_DISK, f"{directory}/file"]]
        running = [
            await asyncio.create_subprocess_exec(sys.executable, "-c", *command, stdin=asyncio.subprocess.PIPE) for command in commands
        ]
        # Set for tests of this very mechanism, which need a failure that comes with load only.
        os.environ[VARIABLE] = str(count)
        try:
            yield
        finally:
            del os.environ[VARIABLE]
            for process in running:
                process.kill()
            await asyncio.gather(*(process.wait() for process in running))
