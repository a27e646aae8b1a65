"""What several engines share: a throw-away PostgreSQL for their data and NATS for their messages (ENGINE-010).

PostgreSQL alone is a store for one engine: a second one waits for the lease of the first and ends.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import TargetError
from harness.targets.child import end
from harness.targets.mortal import mortal

if TYPE_CHECKING:
    from collections.abc import Sequence

NEED = "several engines share PostgreSQL and NATS (Debian: apt-get install postgresql nats-server)"
READY = 30.0
"""Seconds until both must answer."""
STOP = 5.0
USER = "postgres"
"""Who runs the database where we are root, which it refuses to be run by."""
CONNECTIONS = 300
"""Each engine keeps up to 64."""


class SharedStore:
    """Both servers, on loopback; their data goes with them."""

    def __init__(self, log: Path) -> None:
        """Nothing is started; what they print is appended to `log`."""
        self._log = log
        self._directory: Path | None = None
        self._servers: list[tuple[asyncio.subprocess.Process, signal.Signals]] = []
        self._ports = _two_ports()

    @property
    def blocks(self) -> dict[str, Any]:
        """The part of an engine's configuration that says where they are."""
        database, messages = self._ports
        # The driver insists on TLS otherwise.
        url = f"postgresql://postgres@127.0.0.1:{database}/postgres?sslmode=disable"
        return {"postgres": {"url": url}, "nats": {"addresses": [f"127.0.0.1:{messages}"]}}

    async def start(self) -> None:
        """Start both and wait until they answer.

        Raises:
            TargetError: one of them is not installed, or did not come up.
        """
        programs, nats = database_programs(), message_program()
        database, messages = self._ports
        self._directory = Path(tempfile.mkdtemp(prefix="conform-store-"))
        if os.geteuid() == 0:
            shutil.chown(self._directory, USER, USER)
        data = str(self._directory / "data")
        await self._run([str(programs / "initdb"), "-D", data, "-A", "trust", "-U", "postgres", "--no-sync"])
        # What machines lose when their power goes is no matter for data that is thrown away.
        settings = [
            "listen_addresses=127.0.0.1",
            f"unix_socket_directories={self._directory}",
            f"max_connections={CONNECTIONS}",
            "fsync=off",
        ]
        options = [part for one in settings for part in ("-c", one)]
        server = [str(programs / "postgres"), "-D", data, "-p", str(database), *options]
        # Fast and not smart: a smart stop waits for engines to go.
        self._servers.append((await self._spawn(_as_user(server, dying=True)), signal.SIGINT))
        command = [str(nats), "-a", "127.0.0.1", "-p", str(messages)]
        self._servers.append((await self._spawn(mortal(command, os.getpid())), signal.SIGTERM))
        try:
            async with asyncio.timeout(READY):
                while await self._status([str(programs / "pg_isready"), "-q", "-U", "postgres", "-h", "127.0.0.1", "-p", str(database)]):
                    await self._still_there()
                while not await _listens(messages):
                    await self._still_there()
        except TimeoutError:
            raise TargetError(f"PostgreSQL and NATS did not answer within {READY:g} s") from None

    async def stop(self) -> None:
        """Stop both, by force when they do not want to, and remove their data."""
        for process, how in reversed(self._servers):
            await end(process, how, STOP)
        self._servers.clear()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)

    async def _still_there(self) -> None:
        for process, _ in self._servers:
            if process.returncode is not None:
                text = self._log.read_text(encoding="utf-8", errors="replace")[-2000:].strip()
                raise TargetError(f"PostgreSQL or NATS ended with status {process.returncode}; the log ends with:\n{text}")
        await asyncio.sleep(0.05)

    async def _run(self, command: Sequence[str]) -> None:
        if status := await self._status(_as_user(command)):
            text = self._log.read_text(encoding="utf-8", errors="replace")[-2000:].strip()
            raise TargetError(f"{command[0]} ended with status {status}:\n{text}")

    async def _status(self, command: Sequence[str]) -> int:
        return await (await self._spawn(command)).wait()

    async def _spawn(self, command: Sequence[str]) -> asyncio.subprocess.Process:
        with self._log.open("ab") as log:
            return await asyncio.create_subprocess_exec(*command, cwd="/", stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log)


def database_programs() -> Path:
    """The directory of PostgreSQL's programs, of the newest version that is installed.

    Raises:
        TargetError: there is none.
    """
    # Debian keeps them out of the path, one directory per version.
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if on_path := shutil.which("initdb"):
        found.append(Path(on_path).resolve().parent)
    if not found:
        raise TargetError(f"{NEED}; initdb was not found")
    return max(found, key=lambda path: [int(part) for part in path.parent.name.split(".") if part.isdigit()])


def message_program() -> str:
    """The program of NATS.

    Raises:
        TargetError: there is none.
    """
    # Debian installs it where an ordinary user's path does not lead.
    found = shutil.which("nats-server", path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"]))
    if found is None:
        raise TargetError(f"{NEED}; nats-server was not found")
    return found


def _as_user(command: Sequence[str], *, dying: bool = False) -> list[str]:
    if os.geteuid() != 0:
        return mortal(command, os.getpid()) if dying else list(command)
    # By the tool and not by `mortal`: whoever becomes another user forgets whose end was to be theirs.
    how = ["--pdeathsig", "QUIT"] if dying else []
    return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", *how, *command]


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def _two_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return int(first.getsockname()[1]), int(second.getsockname()[1])
