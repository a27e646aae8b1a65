"""`conform serve`: host the standard fixtures on the reference runtime."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.targets.reference import serve_standard


def command(
    host: Annotated[str, typer.Option(help="interface to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port; 0 picks a free one")] = 6420,
    storage: Annotated[str, typer.Option(help="memory, or a directory for durable data")] = "memory",
) -> None:
    """Serve until interrupted; the first line on stdout is a JSON object with the endpoint, printed when it answers."""
    asyncio.run(_serve(host, port, storage if storage == "memory" else Path(storage)))


async def _serve(host: str, port: int, storage: str | Path) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    server = serve_standard(storage, host=host, port=port)
    endpoint = await server.start()
    ready = {"endpoint": endpoint, "namespace": "default", "pool": "default", "storage": str(storage), "pid": os.getpid()}
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    await stop.wait()
    await server.stop()
