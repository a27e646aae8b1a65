"""The reference runtime in this process, on the loop of the session: the only target that knows virtual time."""

from __future__ import annotations

import tempfile
from pathlib import Path

from harness import capabilities
from harness.errors import TargetError
from harness.targets.app_server import AppServer
from harness.targets.base import Endpoint, TimeMode

CAPABILITIES = capabilities.ALL - {"admin_token", "runtime_socket", "inspector", "metrics"}
"""What the reference runtime declares."""


def serve_standard(storage: str | Path, *, host: str = "127.0.0.1", port: int = 0) -> AppServer:
    """A server of the standard fixtures; `storage` is `memory` or a data directory. Nothing is started."""
    from fixtures import standard_registry
    from runtime import create_app

    return AppServer(create_app(standard_registry(), storage=storage), host=host, port=port)


class ReferenceTarget:
    """`storage` is `sqlite` (its embedded default, in a temporary directory) or `memory`."""

    name = "reference"
    capabilities = CAPABILITIES
    profile = "seed"
    time_modes = (TimeMode.VIRTUAL, TimeMode.REAL)
    storages = ("sqlite", "memory")
    time_scale = 1.0

    def __init__(self) -> None:
        """Nothing is started."""
        self._server: AppServer | None = None
        self._directory: tempfile.TemporaryDirectory[str] | None = None

    async def start(self, storage: str) -> Endpoint:
        """Build the application with the standard fixtures and serve it.

        Raises:
            TargetError: the runtime did not start.
        """
        if storage not in self.storages:
            raise TargetError(f"the reference runtime has no storage {storage!r}; it has {', '.join(self.storages)}")
        place: str | Path = "memory"
        if storage == "sqlite":
            self._directory = tempfile.TemporaryDirectory(prefix="conform-", ignore_cleanup_errors=True)
            place = Path(self._directory.name)
        self._server = serve_standard(place)
        return Endpoint(await self._server.start())

    async def stop(self) -> None:
        """Stop serving and delete the data."""
        if self._server is not None:
            await self._server.stop()
            self._server = None
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None
