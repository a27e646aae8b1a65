"""`.ci/run` does what the README promises, and stops at the first failure."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STUB = """#!/bin/sh
echo "$(basename "$0") $*" >> "$CALLS"
case "$(basename "$0") $*" in $FAILING) exit 3;; esac
mkdir -p .venv/bin
for name in pip conform tox; do [ -e .venv/bin/$name ] || cp "$0" .venv/bin/$name; done
"""


def _readme() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    return [block.strip() for block in blocks if block.startswith("python3 -m venv")]


def test_it_has_the_commands_of_the_readme_word_for_word():
    main, tests = _readme()
    assert main.endswith("conform gate")
    assert tests.endswith("tox -q -e test")
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert [line.strip("()") for line in lines if "venv" in line and not line.startswith("#")][:2] == [main, tests]


@pytest.mark.parametrize(
    ("failing", "status", "last"),
    [
        ("nothing", 0, "tox -q -e lint,types"),
        ("python3*", 3, "python3 -m venv .venv"),
        ("pip*", 3, "pip install -q -e .[conform]"),
        ("conform*", 3, "conform gate"),
        ("pip*tox", 3, "pip install -q -e .[conform] tox"),
        ("tox*test", 3, "tox -q -e test"),
        ("tox*types", 3, "tox -q -e lint,types"),
    ],
)
def test_it_ends_with_the_first_failure(tmp_path, failing, status, last):
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    stub = tmp_path / "bin" / "python3"
    stub.parent.mkdir()
    stub.write_text(STUB)
    stub.chmod(0o755)
    environment = {"PATH": f"{stub.parent}{os.pathsep}{os.environ['PATH']}", "CALLS": str(tmp_path / "calls"), "FAILING": failing}
    done = subprocess.run([tmp_path / ".ci" / "run"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls[-1] == last
    assert len(calls) == 7 or status
