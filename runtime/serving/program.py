"""A program that serves actors and does nothing else: from its start to the signal that ends it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING

import structlog

from runtime.serving.application import create_app
from runtime.serving.event_loop import run_program
from runtime.serving.in_process import InProcessServer
from runtime.serving.limits import DEFAULT_LIMITS, ServerLimits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from runtime.declaration.registry import Registry
    from runtime.hosting.options import HostOptions
    from runtime.storage.base import Storage

log = structlog.get_logger(__name__)

DEFAULT_PORT = 6420


async def serve(
    registry: Registry,
    *,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    storage: str | Path | Storage = "memory",
    options: HostOptions | None = None,
    limits: ServerLimits = DEFAULT_LIMITS,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, then stop every actor gracefully (STOP-034). `on_ready` gets the URL once traffic is accepted.

    Raises:
        OSError: The address is taken.
        RuntimeError: The storage could not be opened.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    async with InProcessServer(create_app(registry, storage=storage, options=options), host=host, port=port, limits=limits) as server:
        with contextlib.suppress(NotImplementedError):  # a loop without signal support is stopped by cancelling
            for number in signals:
                loop.add_signal_handler(number, stop.set)
        log.info("serving actors", url=server.url, actors=len(registry))
        try:
            if on_ready is not None:
                on_ready(server.url)
            await stop.wait()
        finally:
            with contextlib.suppress(NotImplementedError):
                for number in signals:
                    loop.remove_signal_handler(number)


def run(
    registry: Registry,
    *,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    storage: str | Path | Storage = "memory",
    options: HostOptions | None = None,
    limits: ServerLimits = DEFAULT_LIMITS,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """`serve` for a program that does nothing else; blocks until a signal. Runs on uvloop where it is installed."""
    run_program(serve(registry, host=host, port=port, storage=storage, options=options, limits=limits, on_ready=on_ready))
