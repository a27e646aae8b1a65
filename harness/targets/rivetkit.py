"""The live peer: an unmodified rivetkit behind a real engine, from `targets/rivetkit`; real time."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import harness
from harness.errors import TargetError
from harness.targets.base import Endpoint, TimeMode
from harness.targets.cache import cache, made
from harness.targets.process import TargetProcess

HOME = Path(str(harness.__file__)).parent.parent / "targets" / "rivetkit"
OLDEST_NODE = (18, 3)
"""`start.mjs` runs on this; the registry takes the Node among its dependencies when this one is older than 22.18."""
INSTALL = 600.0
READY = 60.0
NEED = "the target rivetkit needs Node 22.18 or newer and npm"


class RivetkitTarget:
    """Starts `node start.mjs`; each session has an engine of its own with fresh data."""

    name = "rivetkit"
    # What an unmodified peer has and no more: the profile `seed` adds what the specification asks of a runtime beyond it.
    capabilities = frozenset({"namespaces", "inspector", "metrics"})
    profile = "peer-2.3"
    time_modes = (TimeMode.REAL,)
    storages = ("engine",)
    # Engine and registry are two processes beside the tests; on two cores they are that much slower than one.
    time_scale = 3.0

    def __init__(self) -> None:
        """Nothing is started."""
        self._process: TargetProcess | None = None

    @property
    def log_file(self) -> Path | None:
        """What engine and registry print."""
        return self._process.log_file if self._process is not None else None

    # Before the workers, as several of them would run npm in one directory at the same time.
    def prepare(self) -> None:
        """Install the npm packages when they are missing; done once, before any worker starts.

        Raises:
            TargetError: Node or npm is missing or too old, or the installation failed.
        """
        _check_node()
        installed()

    async def start(self, storage: str) -> Endpoint:
        """Start engine and registry.

        Raises:
            TargetError: they did not come up.
        """
        environment = {"_RIVET_TEST_INSPECTOR_TOKEN": "token", "VITEST": "1"}
        self._process = TargetProcess([_check_node(), "start.mjs"], cwd=installed(), environment=environment)
        return await self._process.start(READY)

    async def ended(self) -> str:
        """As `TargetProcess.ended`."""
        assert self._process is not None
        return await self._process.ended()

    async def stop(self) -> None:
        """Stop both."""
        if self._process is not None:
            await self._process.stop()
            self._process = None


def installed() -> Path:
    """A directory with the target and its packages: the checkout when they are there, else a copy in the user's cache.

    A copy is named by what is in it, so that checkouts with different fixtures don't overwrite each other's under a running registry.

    Raises:
        TargetError: the target's files are not there, or npm failed.
    """
    if not (HOME / "start.mjs").is_file():
        raise TargetError(f"the target rivetkit is part of a checkout of this project; {HOME} is not there")
    # Whoever has installed in the checkout works on the target itself, and wants to see what is changed there.
    if (HOME / "node_modules").is_dir():
        return HOME
    files = sorted(path for path in HOME.rglob("*") if path.is_file() and path.relative_to(HOME).parts[0] != "test")
    # Two places: packages are many and change with `package.json` only, the few files of the target change with every fixture.
    packages = made(cache() / f"rivetkit-packages-{_digest([HOME / 'package.json'])}", _install)
    return made(cache() / f"rivetkit-{_digest(files)}", lambda fresh: _copy(fresh, packages))


def _digest(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(HOME)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


def _install(fresh: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise TargetError(f"{NEED}; npm was not found")
    shutil.copy(HOME / "package.json", fresh)
    command = [npm, "install", "--legacy-peer-deps", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        outcome = subprocess.run(command, cwd=fresh, capture_output=True, text=True, timeout=INSTALL, check=False)
    except subprocess.TimeoutExpired:
        raise TargetError(f"npm did not install the target's packages within {INSTALL:g} s in {fresh.parent.parent}") from None
    if outcome.returncode != 0:
        raise TargetError(f"npm could not install the target's packages in {fresh.parent.parent}:\n{outcome.stderr.strip()[-2000:]}")


def _copy(fresh: Path, packages: Path) -> None:
    shutil.copytree(HOME, fresh, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules", "test"))
    (fresh / "node_modules").symlink_to(packages / "node_modules", target_is_directory=True)


def _check_node() -> str:
    node = shutil.which("node")
    if node is None:
        raise TargetError(f"{NEED}; node was not found")
    outcome = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=False)
    parts = outcome.stdout.strip().removeprefix("v").split(".")
    if not (len(parts) == 3 and all(part.isdigit() for part in parts) and tuple(map(int, parts))[:2] >= OLDEST_NODE):
        raise TargetError(f"{NEED}; node here is {outcome.stdout.strip() or 'unknown'}")
    return node
