"""Every sub-command once in a process of its own; what they do in detail is tested in this process, through the `conform` fixture."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from harness.cli.app import app
from harness.evidence import bundle
from tests.harness.conftest import ROOT
from tests.harness.sample import write_corpus

CORPUS = '''
@requirement("TASK-001")
async def test_good(conform):
    """Good."""

@requirement("TASK-002")
async def test_bad(conform):
    """Bad."""
    assert 0, "bad"
'''
FAKE = "--target tests.harness.fake_target:make --storage memory"
SAMPLE = "--corpus corpus --encoding json"
SOON = datetime.datetime.now(tz=datetime.UTC).date() + datetime.timedelta(days=30)
EXCUSE = f"--reason late --link https://example.org/1 --review-by {SOON}"
STEPS = (
    ("init here --url http://127.0.0.1:9", 0, "conformance.toml"),
    (f"list {SAMPLE}", 0, "2 tests, 2 with variants"),
    (f"run {FAKE} {SAMPLE} --jobs 1 --events run.ndjson --evidence e", 1, "FAIL alpha::test_bad"),
    (f"replay {bundle.place(Path('e'), 'alpha::test_bad[json-memory]')}", 1, "reproduced"),
    ("report html run.ndjson -o run.html", 0, ""),
    ("report markdown run.ndjson", 0, "alpha::test_bad"),
    ("report badge run.ndjson", 0, "50% of 2"),
    ("report junit run.ndjson -o run.xml", 0, ""),
    ("report encodings run.ndjson", 1, "alpha::test_good: ran in 1 variant(s) and used no encoding"),
    ("report diff run.ndjson run.ndjson", 0, "the same verdicts"),
    ("report merge run.ndjson -o merged.ndjson", 1, "2 collected"),
    (f"baseline init {FAKE} {SAMPLE} --jobs 1 --baselines b {EXCUSE} --yes", 0, "b/fake.toml written"),
    ("baseline show --target tests.harness.fake_target:make --baselines b", 0, "late"),
    (f"baseline update {FAKE} {SAMPLE} --jobs 1 --baselines b --yes", 0, ""),
    (f"baseline prune {FAKE} {SAMPLE} --jobs 1 --baselines b --yes", 0, ""),
    (f"baseline merge {FAKE} {SAMPLE} --jobs 1 --baselines b --yes", 0, ""),
    (f"baseline measure {FAKE} {SAMPLE} --baselines b", 2, "calls no test flaky"),
    ("baseline diff b/fake.toml b/fake.toml", 0, "say the same"),
    (f"gate {FAKE} {SAMPLE} --jobs 1 --baselines b", 0, "GATE PASSED"),
    (f"flake {FAKE} {SAMPLE} --jobs 1 --loops 1 --only alpha::test_good", 0, "1 runs, 0 failures"),
    ("requirements --corpus corpus --spec spec", 2, "no requirements below"),
    ("explain TASK-001 --corpus corpus", 0, "alpha::test_good"),
    ("doctor --target http://127.0.0.1:9 --capabilities nonsense", 2, "unknown capability nonsense"),
)
ELSEWHERE = {"serve"}
"""Does not end by itself: `test_serve.py` starts and stops it."""


def _leaves(command, path: str = "") -> set[str]:
    if not hasattr(command, "commands"):
        return {path}
    return {leaf for name, below in command.commands.items() for leaf in _leaves(below, f"{path} {name}".strip())}


def test_every_command_is_here():
    lines = [f"{line} " for line, _, _ in STEPS]
    assert {leaf for leaf in _leaves(typer.main.get_command(app)) if not any(line.startswith(f"{leaf} ") for line in lines)} == ELSEWHERE


@pytest.mark.timeout(400)
def test_commands_as_a_person_types_them(tmp_path):
    """One after the other: some work on what others wrote."""
    write_corpus(tmp_path / "corpus", alpha=CORPUS)
    conform = Path(sys.executable).with_name("conform")
    for line, status, text in STEPS:
        done = subprocess.run(
            [conform, *line.split()], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == status, f"conform {line}\n{done.stdout}\n{done.stderr}"
        assert text in done.stdout + done.stderr, line
