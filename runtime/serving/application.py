"""The application of a registry: what an ASGI server, ours or another, is given."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from runtime import logs
from runtime.hosting.standalone.host import StandaloneHost
from runtime.hosting.standalone.listener.asgi_app import GatewayApp
from runtime.storage.memory import MemoryStorage
from runtime.storage.sqlite import SQLiteStorage

if TYPE_CHECKING:
    from runtime.declaration.registry import Registry
    from runtime.hosting.options import HostOptions
    from runtime.storage.base import Storage


def create_app(registry: Registry, *, storage: str | Path | Storage = "memory", options: HostOptions | None = None) -> GatewayApp:
    """The ASGI application that is manager, gateway and actor host at once. Its lifespan starts and stops the host.

    To mount it in Starlette or FastAPI, run its lifespan from the outer one: `async with app.running(): ...`.
    Logs go to standard error, warnings and up, unless the program configured structlog before.

    Args:
        registry: The actors to host.
        storage: `"memory"`, a directory for SQLite files, or a `Storage`.
        options: See `HostOptions`.
    """
    if not structlog.is_configured():
        logs.configure()
    return GatewayApp(StandaloneHost(registry, _storage(storage), options))


def _storage(place: str | Path | Storage) -> Storage:
    if place == "memory":
        return MemoryStorage()
    if isinstance(place, (str, Path)):
        return SQLiteStorage(place)
    return place
