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

log = structlog.get_logger(__name__)

LOST = "actors are kept in memory and lost when this process ends"


def create_app(registry: Registry, *, storage: str | Path | Storage | None = None, options: HostOptions | None = None) -> GatewayApp:
    """The ASGI application that is manager, gateway and actor host at once. Its lifespan starts and stops the host.

    To mount it in Starlette or FastAPI, run its lifespan from the outer one: `async with app.running(): ...`.
    Logs go to standard error, warnings and up, unless the program configured structlog before.

    Args:
        registry: The actors to host.
        storage: A directory for SQLite files, `"memory"`, or a `Storage`. Without one actors are kept in memory, too, and a warning says
            that they end with the process.
        options: See `HostOptions`.
    """
    if not structlog.is_configured():
        logs.configure()
    # Nothing is lost where nothing lives.
    if storage is None and len(registry):
        log.warning(LOST, hint='storage="DIRECTORY" keeps them, storage="memory" says that this is meant')
    return GatewayApp(StandaloneHost(registry, _storage(storage), options))


def _storage(place: str | Path | Storage | None) -> Storage:
    if place is None or place == "memory":
        return MemoryStorage()
    if isinstance(place, (str, Path)):
        return SQLiteStorage(place)
    return place
