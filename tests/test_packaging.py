"""What is installed: every data file, nothing that a user of the runtime alone does not need, and nothing that is written to."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

import conform

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = ("runtime", "client", "harness", "fixtures", "driver_tests")
EXTRA = [name.partition(">")[0] for name in PROJECT["project"]["optional-dependencies"]["conform"]]
MODULES = {name.replace("-", "_").lower() for name in EXTRA}
FIND = """
import importlib, pkgutil, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocker())
import client, runtime
if "pytest" not in {blocked!r}:
    import harness.autoload  # every pytest of the environment does
for package in (runtime, client):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if found.name != "runtime.errors.export":  # writes docs/errors of a checkout
            importlib.import_module(found.name)
"""


def test_every_data_file_is_declared():
    """Links to directories of the checkout are walked like any other: in a wheel they are directories."""
    declared = PROJECT["tool"]["setuptools"]["package-data"]["*"]
    files = [
        Path(directory, name).relative_to(ROOT)
        for package in PACKAGES
        for directory, _, names in os.walk(ROOT / package, followlinks=True)
        for name in names
        if "__pycache__" not in directory and not name.endswith((".py", ".pyc"))
    ]
    assert len(files) > 20
    assert [str(path) for path in files if not any(fnmatch(path.name, pattern) for pattern in declared)] == []


@pytest.mark.parametrize("there", [set(), {"pytest"}])
def test_runtime_and_client_need_nothing_of_the_harness(there):
    """Nor does a pytest that somebody has for other reasons break on the entry point of the plug-in."""
    done = subprocess.run(
        [sys.executable, "-c", FIND.format(blocked=MODULES - there)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_command_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(conform, "find_spec", lambda name: None if name in ("typer", "pytest") else object())
    with pytest.raises(SystemExit) as ended:
        conform.main()
    assert ended.value.code == 2
    assert (
        capsys.readouterr().err
        == "conform: typer, pytest not installed; install the harness with: pip install 'actor-conformance[conform]'\n"
    )


def test_what_the_command_needs_is_what_the_extra_installs():
    assert {name.replace("_", "-") for name in conform.NEEDED} <= set(EXTRA)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_the_wheel_is_whole(tmp_path):
    """Built, installed into a fresh environment, used in an empty folder; what is installed is the same before and after."""

    def run(*command: str, status: int = 0, **environment: str) -> str:
        kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
        done = subprocess.run(
            command, cwd=folder, env={**kept, "NO_COLOR": "1", **environment}, capture_output=True, text=True, timeout=500, check=False
        )
        assert done.returncode == status, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    folder = tmp_path / "empty"
    folder.mkdir()
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(ROOT))
    (wheel,) = tmp_path.glob("*.whl")
    run(sys.executable, "-m", "venv", str(tmp_path / "venv"))
    python = str(tmp_path / "venv/bin/python")
    run(python, "-m", "pip", "install", "-q", str(wheel))
    assert "install the harness with: pip install 'actor-conformance[conform]'" in run(
        str(tmp_path / "venv/bin/conform"), "--help", status=2
    )
    run(python, "-c", "import runtime, client")
    run(python, "-m", "pip", "install", "-q", f"{wheel}[conform]")
    (site,) = (tmp_path / "venv/lib").glob("python*/site-packages")
    before = _contents(site)
    command = str(tmp_path / "venv/bin/conform")
    assert "GATE PASSED" in run(command, "gate", "--suite", "actor-vars", "--encoding", "json")
    run(command, "baseline", "init", "--suite", "actor-vars", "--encoding", "json", "--yes")
    assert (folder / "baselines/reference.toml").is_file()
    assert "actor-sleep::" in run(command, "explain", "SLEEP-012")
    assert "requirements" in run(command, "requirements")
    assert "is not written to" in run(command, "requirements", "--prune", status=2)
    assert "is not written to" in run(command, "requirements", "--raise-set", status=2)
    run(command, "init", "mine", "--url", "http://127.0.0.1:1")
    assert "actor-sleep" in run(command, "list")
    run(command, "doctor", "--help")
    assert _contents(site) == before


def _contents(site: Path) -> dict[str, int]:
    """Every file that is installed, but for what Python compiles."""
    return {
        str(path.relative_to(site)): path.stat().st_size for path in site.rglob("*") if path.is_file() and "__pycache__" not in str(path)
    }
