"""Targets that die, were never there, or are told to end: one root cause, no waiting, and everything that is known is told."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.run import runner
from harness.targets import TargetOptions
from harness.targets.url import reach
from tests.harness.sample import request, run, write_corpus

ROOT = Path(__file__).parents[2]
MORTAL = f"cmd:{sys.executable} -m tests.harness.mortal_target"
DIES = '''
import httpx

@requirement("TASK-001")
async def test_a(conform):
    """A."""
    assert (await conform.http.get("/count")).text == "1"

@requirement("TASK-001")
async def test_b(conform):
    """B waits for an answer that a dead target does not give."""
    with pytest.raises(httpx.HTTPError):
        await conform.http.post("/die", content=b"{sign}")
    await asyncio.sleep(600)

@requirement("TASK-001")
async def test_c(conform):
    """C."""
    assert (await conform.http.get("/count")).text == "1"

@requirement("TASK-001")
async def test_d(conform):
    """D."""
'''


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path / "corpus"


def _run(corpus, spec: str, **options):
    return run(corpus, target=TargetOptions(spec=spec, capabilities="all"), time="real", storages=("external",), **options)


def test_a_target_that_dies_is_one_root_cause_and_nothing_waits_for_it(corpus):
    began = time.monotonic()
    report = _run(write_corpus(corpus, alpha=DIES.format(sign="SIGKILL")), MORTAL)
    assert time.monotonic() - began < 60
    assert [str(one.verdict) for one in report.results] == ["pass", "error", "blocked", "blocked"]
    cause = report.results[1]
    assert cause.message == "TargetDied: the target died: it ended by SIGKILL (out of memory); its log ends with"
    assert cause.blame == "adapter"
    assert {one.blocked_by for one in report.results[2:]} == {"alpha::test_b[json-external]"}
    assert report.problems[0].startswith("the target with storage external died during alpha::test_b[json-external]: it ended by SIGKILL")
    assert report.problems[0].endswith("its log ends with:\nout of memory")
    assert report.status == 2


def test_a_target_that_died_is_started_again_when_that_is_asked_for(corpus):
    report = _run(write_corpus(corpus, alpha=DIES.format(sign="SIGTERM")), MORTAL, restart_target=True)
    assert [str(one.verdict) for one in report.results] == ["pass", "error", "pass", "pass"]
    assert report.problems == []
    assert report.status == 1


async def test_a_target_behind_a_url_that_goes_away_blocks_what_comes_after(corpus, monkeypatch):
    monkeypatch.setattr("harness.session.deployments.ALIVE", 0.2)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.harness.mortal_target", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT
    )
    url = json.loads(await process.stdout.readline())["endpoint"]
    source = DIES.format(sign="SIGKILL").replace("await asyncio.sleep(600)", "assert 0")
    target = TargetOptions(spec=url, capabilities="all")
    report = await runner.run(request(write_corpus(corpus, alpha=source), target=target, time="real", storages=("external",)))
    await process.wait()
    assert [str(one.verdict) for one in report.results] == ["pass", "error", "blocked", "blocked"]
    assert f"{url}/health did not answer 200" in report.results[1].message
    assert report.results[1].blame == "adapter"
    assert report.status == 2


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("cmd:false", "false ended with status 1 before it was ready"),
        ("cmd:sh -c 'echo no license >&2; exit 3' {port}", "it ended with status 3 before it was ready; its log ends with:\nno license"),
        ("cmd:/nowhere/runtime", "/nowhere/runtime could not be started"),
        ("cmd:echo hello", "the first line on standard output is no handshake: 'hello'"),
    ],
)
def test_a_command_that_is_no_target_is_one_problem_with_its_last_words(corpus, spec, said):
    report = _run(write_corpus(corpus, alpha=DIES), spec)
    assert said in report.problems[0]
    assert len(report.problems) == 2
    assert report.problems[1] == "not everything was run: 3 of 4 tests were not run to their end"
    assert report.status == 2


def test_a_target_that_is_not_there_is_one_line_before_any_worker_starts(conform, tmp_path, monkeypatch):
    write_corpus(tmp_path / "corpus", alpha=DIES)
    monkeypatch.setattr("harness.targets.url.reach", lambda target, _: reach(target, 0.3))
    monkeypatch.setattr("harness.run.lanes.worker.launch", None)
    arguments = ("--target", "http://127.0.0.1:9", "--corpus", str(tmp_path / "corpus"))
    for command in ("run", "gate", "flake"):
        more = () if command == "flake" else ("--events", "events.ndjson")
        if command == "gate":
            (tmp_path / "url.toml").write_text('target = "url"\n')
            more += ("--ledger", "url.toml")
        text = conform(command, *arguments, *more, status=2)
        assert [line for line in text.splitlines() if line.strip()] == [
            "conform: http://127.0.0.1:9/health did not answer 200 within 0.3 s: All connection attempts failed"
        ]


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_writes_what_it_knows_and_leaves_no_process(tmp_path, sign):
    source = DIES.format(sign="SIGKILL").replace(
        'await conform.http.post("/die"', 'pathlib.Path("mark").touch(); await conform.http.post("/no"'
    )
    write_corpus(tmp_path / "corpus", alpha=source.replace("with pytest.raises(httpx.HTTPError):\n        ", ""))
    arguments = ["--corpus", "corpus", "--target", MORTAL, "--encoding", "json", "--jobs", "1", "--events", "e.ndjson", "--junit", "j.xml"]
    command = subprocess.Popen(
        [sys.executable, "-m", "harness.cli", "run", *arguments],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (tmp_path / "mark").exists():
        assert time.monotonic() < deadline, command.stdout.read() if command.poll() is not None else "the second test never began"
        time.sleep(0.02)
    command.send_signal(sign)
    printed, _ = command.communicate(timeout=30)
    assert command.returncode == 2, printed
    assert f"problem: interrupted by {sign.name}: 3 of 4 tests were not run to their end" in printed
    verdicts = [json.loads(line).get("verdict") for line in (tmp_path / "e.ndjson").read_text().splitlines()]
    assert verdicts == [None, "pass", "not-run", "not-run", "not-run", None, None]
    assert (tmp_path / "j.xml").read_text().count("<testcase") >= 4
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(tmp_path) not in listed
