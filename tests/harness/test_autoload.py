"""The plug-in loads by itself where pytest is pointed at a corpus, and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.harness.sample import PLAIN, write_corpus

ROOT = Path(__file__).parents[2]
ONE = ("-k", "test_static_vars_are_available", "--encoding", "json")


@pytest.fixture
def installed(tmp_path):
    """Where an installation would register what `pyproject.toml` declares, whenever this checkout was installed."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    info = tmp_path / "site" / "conform_entry-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: conform-entry\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[pytest11]\n" + "".join(f"{name} = {value}\n" for name, value in declared.items()))
    return info.parent


def call(installed, where, *arguments):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=where,
        env={**environment, "PYTHONPATH": f"{installed}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_installed_suite_runs_by_its_name(installed, tmp_path):
    done = call(installed, tmp_path, "--pyargs", "driver_tests", *ONE)
    assert (done.returncode, "1 passed" in done.stdout) == (0, True), done.stdout + done.stderr
    done = call(installed, tmp_path, "--pyargs", "driver_tests.test_actor_vars", *ONE)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_a_corpus_of_ones_own_runs_from_its_directory(installed, tmp_path):
    corpus = write_corpus(tmp_path / "corpus", alpha=PLAIN)
    options = ("--target=tests.harness.fake_target:make", "--encoding", "json")
    for arguments in ((), ("test_alpha.py",), ("-p", "harness.plugin")):
        done = call(installed, corpus, *arguments, *options)
        assert "2 passed" in done.stdout, (arguments, done.stdout + done.stderr)


def test_a_checkout_that_names_the_plug_in_itself_loads_it_once(installed):
    done = call(installed, ROOT, "driver_tests/test_actor_vars.py", *ONE)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_other_tests_do_not_notice(installed, tmp_path):
    unit = "import sys\n\ndef test_unit():\n    assert 'harness.plugin' not in sys.modules\n    assert 'httpx' not in sys.modules\n"
    (tmp_path / "test_unit.py").write_text(unit)
    for arguments in ((), (".",), ("test_unit.py::test_unit",)):
        done = call(installed, tmp_path, *arguments)
        assert "1 passed" in done.stdout, done.stdout + done.stderr
    assert "unrecognized arguments" in call(installed, tmp_path, "--encoding", "json").stderr
