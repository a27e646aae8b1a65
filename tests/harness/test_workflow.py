"""The workflow that `conform init` writes, step by step in a shell, as GitHub Actions runs it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.scaffold import origin
from tests.harness.sample import PLAIN, write_corpus
from tests.harness.test_init import SERVER

ROOT = Path(__file__).parents[2]
SUITE = "git+https://example.org/it's/suite@abc"
HANGS = '''
@requirement("TASK-001")
async def test_hangs(conform):
    """It waits for ever."""
    await asyncio.Event().wait()
'''
CONFORM = """#!/bin/sh
case "$1" in
gate|flake|doctor) set -- "$@" --corpus "$CORPUS";;
esac
exec {python} -m harness.cli "$@"
"""


class Repository:
    """A repository with the files of `conform init`, and a shell in which `pip` notes what it would install."""

    def __init__(self, home: Path, corpus: Path) -> None:
        self.home, self.summary, self.pip = home, home / "summary.md", home / "pip.txt"
        tools = home / "tools"
        tools.mkdir()
        for name, text in {
            "conform": CONFORM.format(python=shlex.quote(sys.executable)),
            "pip": f'#!/bin/sh\necho "$@" >> {self.pip}\n',
        }.items():
            (tools / name).write_text(text)
            (tools / name).chmod(0o755)
        self.environment = {
            **os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "CORPUS": str(corpus),
            "GITHUB_STEP_SUMMARY": str(self.summary), "NO_COLOR": "1",
        }  # fmt: skip

    @property
    def workflow(self) -> Any:
        return yaml.safe_load((self.home / ".github/workflows/conformance.yml").read_text(encoding="utf-8"))

    def run(self, job: str, **variables: str) -> dict[str, tuple[int, str]]:
        """Run the steps of a job as the runner does: after a failure only those that always run."""
        workflow, ended, failed = self.workflow, {}, False
        installed = re.fullmatch(r"\$\{\{ vars\.CONFORM_INSTALL(?: \|\| '(.*)')? \}\}", workflow["env"]["CONFORM_INSTALL"])
        assert installed is not None
        given = {"CONFORM_INSTALL": (installed[1] or "").replace("''", "'"), **variables}
        for step in workflow["jobs"][job]["steps"]:
            condition = step.get("if", "")
            files = re.findall(r"hashFiles\('(.*?)'\)", condition)
            if "run" not in step or (failed and "always()" not in condition) or not all((self.home / name).exists() for name in files):
                continue
            done = subprocess.run(
                ["bash", "-e", "-c", step["run"]],
                cwd=self.home, env={**self.environment, **given}, capture_output=True, text=True, timeout=100, check=False,
            )  # fmt: skip
            ended[step["name"]] = done.returncode, done.stdout + done.stderr
            failed = failed or (done.returncode != 0 and not step.get("continue-on-error"))
        return ended


@pytest.fixture
def repository(tmp_path, conform) -> Repository:
    home = tmp_path / "mine"
    home.mkdir()
    (home / "server.py").write_text(SERVER)
    conform("init", str(home), "--cmd", f"{shlex.quote(sys.executable)} server.py", "--install", SUITE)
    return Repository(home, write_corpus(tmp_path / "corpus", alpha=PLAIN))


@pytest.mark.timeout(200)
def test_every_step_of_the_gate_works_as_it_stands(repository):
    ended = repository.run("gate")
    assert list(ended) == ["Install the suite", "Is the target fit to be judged?", "Gate", "Summary"]
    assert repository.pip.read_text() == f"install actor-conformance[conform] @ {SUITE}\n"
    assert ended["Gate"][0] == 0, ended["Gate"][1]
    assert "GATE PASSED" in ended["Gate"][1]
    assert ended["Summary"] == (0, "")
    assert "## Conformance" in repository.summary.read_text()
    uploads = [step["with"]["path"].split() for step in repository.workflow["jobs"]["gate"]["steps"] if "upload" in step.get("uses", "")]
    assert uploads == [["conformance.xml", "conformance.ndjson", "artifacts/evidence"]]
    assert all((repository.home / name).exists() for name in uploads[0][:2])


@pytest.mark.soak
@pytest.mark.timeout(200)
def test_a_gate_that_is_cut_off_reports_what_is_known(repository, tmp_path):
    write_corpus(tmp_path / "corpus", alpha=HANGS + PLAIN)
    path = repository.home / ".github/workflows/conformance.yml"
    text = path.read_text()
    assert "timeout --signal=INT --kill-after=2m 50m conform gate" in text
    path.write_text(text.replace("50m conform gate", "8s conform gate"))
    ended = repository.run("gate", CONFORM_TOKEN="")
    assert ended["Gate"][0] != 0
    assert ended["Summary"][0] == 0
    assert ":warning:" in repository.summary.read_text()
    assert (repository.home / "conformance.xml").exists()


@pytest.mark.soak
@pytest.mark.timeout(200)
def test_the_flake_job_loops(repository):
    path = repository.home / ".github/workflows/conformance.yml"
    path.write_text(path.read_text().replace("--loops 20", "--loops 1"))
    ended = repository.run("flake")
    assert list(ended) == ["Install the suite", "How often do tests fail?"]
    assert ended["How often do tests fail?"][0] == 0, ended


def test_a_workflow_that_cannot_know_the_suite_says_what_to_set(conform, tmp_path, monkeypatch):
    monkeypatch.setattr(origin, "installable", lambda: None)
    said = conform("init", "a", "--url", "http://127.0.0.1:6420", "--start", "./serve && true")
    assert "set the repository variable CONFORM_INSTALL" in said
    there = Repository(tmp_path / "a", tmp_path)
    ended = there.run("gate")
    assert list(ended) == ["Install the suite"]
    assert (
        "set the repository variable CONFORM_INSTALL, or write this workflow with: conform init --install SPEC"
        in ended["Install the suite"][1]
    )
    steps = {step.get("name"): step for step in there.workflow["jobs"]["gate"]["steps"]}
    assert steps["Start the runtime"]["run"] == "(./serve && true) > /dev/null 2>&1 &\n"
    assert there.workflow["env"]["CONFORM_TOKEN"] == "${{ secrets.CONFORM_TOKEN }}"


def test_a_python_target_is_installed_too(conform, tmp_path):
    conform("init", "b", "--entry-point", "mine", "--install", "./vendor/suite.whl")
    there = Repository(tmp_path / "b", tmp_path)
    there.environment["PATH"] = f"{tmp_path}/b/tools:/bin:/usr/bin"
    steps = {step.get("name"): step for step in there.workflow["jobs"]["flake"]["steps"]}
    assert steps["Install the target"]["run"] == "pip install .\n"
    assert "'./vendor/suite.whl[conform]'" in there.workflow["env"]["CONFORM_INSTALL"]


@pytest.mark.parametrize(
    ("note", "spec"),
    [
        (
            {"url": "https://h/o/r", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "actor-conformance[conform] @ git+https://h/o/r@abc",
        ),
        ({"url": "https://h/x.whl", "archive_info": {}}, "actor-conformance[conform] @ https://h/x.whl"),
        ({"url": "file:///home/me/suite", "dir_info": {"editable": True}}, None),
        ({"url": "file:///home/me/suite", "vcs_info": {"vcs": "git", "commit_id": "abc"}}, None),
    ],
)
def test_where_the_suite_came_from(note, spec):
    assert origin.of(note) == spec


@pytest.mark.parametrize(
    ("typed", "spec"),
    [
        ("actor-conformance", "actor-conformance[conform]"),
        ("actor-conformance==0.1.0", "actor-conformance[conform]==0.1.0"),
        ("./actor-conformance", "./actor-conformance[conform]"),
        ("git+https://h/r", "actor-conformance[conform] @ git+https://h/r"),
        ("actor-conformance[conform] @ https://h/x.whl", "actor-conformance[conform] @ https://h/x.whl"),
    ],
)
def test_the_extra_is_added_to_what_was_typed(typed, spec):
    assert origin.complete(typed) == spec
