"""Lanes: forked or spawned, one or several, dying or told to end, the account of the run is the same and whole."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import time
from pathlib import Path

import pytest

from harness.flake.loops import Budget, loop
from harness.run import runner
from harness.run.lanes import launch
from harness.run.lanes.lane import Lane
from harness.run.runner import run_lanes
from harness.run.stop import Stop
from harness.targets import TargetOptions
from tests.harness.sample import HEAD, PLAIN, request, run, verdicts, write_corpus

MIXED = (
    PLAIN
    + '''
@requirement("TASK-003")
async def test_three(conform):
    """Three."""
    assert conform.encoding == "json", "not json"

@requirement("TASK-003")
@capability("overload")
@pytest.mark.parametrize("n", [1, 2])
async def test_four(n):
    """Four."""
'''
)
DIES = '''
import os, signal

@requirement("TASK-001")
async def test_a():
    """A."""

@requirement("TASK-001")
async def test_b():
    """B."""
    {how}

@requirement("TASK-001")
async def test_c():
    """C."""
'''


@pytest.fixture
def corpus(tmp_path):
    return tmp_path / "corpus"


@pytest.fixture
def spawned(monkeypatch):
    monkeypatch.setenv(launch.MODE, "spawn")


def _everything(report):
    return {str(one.id): (str(one.verdict), one.message, one.blame) for one in report.results}


def test_forked_and_spawned_lanes_and_any_number_of_them_give_the_same_verdicts(corpus, monkeypatch):
    write_corpus(corpus, alpha=MIXED, beta_timing=MIXED, gamma=DIES.format(how="assert 0"))
    found = {}
    for mode in ("fork", "spawn"):
        monkeypatch.setenv(launch.MODE, mode)
        for jobs in (1, 2, 4):
            report = run(corpus, jobs=jobs, encodings=("json", "cbor"))
            assert not report.problems
            found[mode, jobs] = _everything(report)
    assert len(found["fork", 1]) == 26
    assert all(one == found["fork", 1] for one in found.values())


@pytest.mark.parametrize(
    ("how", "said"),
    [("os._exit(0)", "with status 0"), ("os._exit(3)", "with status 3"), ("os.kill(os.getpid(), signal.SIGKILL)", "by SIGKILL")],
)
def test_a_dead_lane_blames_the_test_it_died_in_and_goes_on_behind_it(corpus, how, said):
    report = run(write_corpus(corpus, alpha=DIES.format(how=how)))
    assert [str(one.verdict) for one in report.results] == ["pass", "error", "pass"]
    assert report.results[1].message == f"the worker ended {said} in this test"
    [problem] = report.problems
    assert f"ended {said} in alpha::test_b[json-memory]" in problem
    assert report.status == 2


def test_a_dead_spawned_lane_is_told_in_the_same_words(corpus, spawned):
    test_a_dead_lane_blames_the_test_it_died_in_and_goes_on_behind_it(corpus, "os._exit(3)", "with status 3")


def test_what_a_module_that_cannot_be_collected_keeps_from_running_is_not_run(corpus):
    write_corpus(corpus, alpha=PLAIN, beta="raise RuntimeError('no module')")
    report = run(corpus)
    assert {str(one.verdict) for one in report.results} == {"not-run"}
    assert "no module" in report.problems[0]
    assert "2 of 2 tests were not run to their end" in report.problems[-1]
    assert report.status == 2


def test_forks_share_what_was_imported_but_no_key(corpus):
    source = '''
@requirement("TASK-001")
async def test_key(conform):
    """Shows its key."""
    raise AssertionError(conform.key)
'''
    write_corpus(corpus, alpha=source)
    lanes = [Lane(str(number)) for number in range(3)]
    outcomes = asyncio.run(run_lanes(request(corpus), lanes, lambda _: None, at_once=3))
    keys = {event["message"] for outcome in outcomes for event in outcome.events if event["event"] == "result"}
    assert len(keys) == 3


def test_forks_find_modules_where_a_process_of_its_own_would(corpus, tmp_path, monkeypatch):
    run(write_corpus(corpus, alpha=PLAIN))  # there is a server, older than the variable
    late = tmp_path / "late"
    late.mkdir()
    (late / "conform_late.py").write_text("HERE = True\n")
    source = """
import conform_late

@requirement("TASK-001")
async def test_late():
    \"\"\"Late.\"\"\"
    assert conform_late.HERE
"""
    monkeypatch.setenv("PYTHONPATH", str(late), prepend=os.pathsep)
    assert set(verdicts(run(write_corpus(corpus, alpha=source))).values()) == {"pass"}


class Threaded:
    """A target that must not be forked; what runs it says whether it was."""

    name, capabilities, profile, time_modes, storages, time_scale = "threaded", frozenset(), "seed", ("virtual",), ("memory",), 1.0
    fork_safe = False

    async def start(self, storage):
        raise RuntimeError(f"parent {os.getppid()}")

    async def stop(self):
        pass


def test_a_target_that_must_not_be_forked_is_spawned(corpus):
    write_corpus(corpus, alpha=PLAIN)
    run(corpus)  # there is a server to fork from
    report = run(corpus, target=TargetOptions(spec="tests.harness.test_lanes:Threaded"))
    assert report.problems[0] == f"target threaded: RuntimeError: parent {os.getpid()}"


def test_whoever_leaves_before_the_answer_takes_no_other_lane_along(corpus, tmp_path):
    write_corpus(corpus, alpha=PLAIN)
    run(corpus)
    server = launch._server()
    order = {"arguments": ["--version"], "environment": dict(os.environ), "directory": str(tmp_path), "preload": []}
    (tmp_path / "order.json").write_text(json.dumps(order))
    reading, writing = os.pipe()
    os.close(reading)
    with (tmp_path / "order.json").open() as file, Path(os.devnull).open("w") as nothing:
        server.order([file.fileno(), nothing.fileno(), nothing.fileno(), writing])
    os.close(writing)
    assert len(verdicts(run(corpus))) == 2
    assert launch._server() is server


def test_a_server_that_is_gone_is_a_problem_and_the_next_run_has_another(corpus):
    write_corpus(corpus, alpha=PLAIN)
    assert len(verdicts(run(corpus))) == 2
    launch._server()._process.kill()
    launch._server()._process.wait()
    report = run(corpus)
    assert report.status == 2
    assert "the server that lanes are forked from ended with status -9" in report.problems[0]
    assert len(verdicts(run(corpus))) == 2


HANGS = '''
import os, pathlib

@requirement("TASK-001")
async def test_a(conform):
    """A."""

@requirement("TASK-001")
async def test_b(conform):
    """B."""
    pathlib.Path("{mark}").write_text(str(os.getpid()))
    {wait}

@requirement("TASK-001")
async def test_c(conform):
    """C."""
'''


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _stopped(corpus, mark: Path, wait: str, *, insist: bool = False):
    """Run until the second test says that it is there, and stop then."""
    write_corpus(corpus, alpha=HANGS.format(mark=mark, wait=wait))

    async def go():
        stop = Stop()
        running = asyncio.create_task(runner.run(request(corpus, time="real"), stop=stop))
        async with asyncio.timeout(30):
            while not _text(mark):  # noqa: ASYNC110 -- another process makes the file
                await asyncio.sleep(0.02)
        stop("interrupted by SIGTERM")
        if insist:
            stop("interrupted by SIGTERM")
        return await running

    report = asyncio.run(go())
    with pytest.raises(ProcessLookupError):
        os.killpg(int(mark.read_text()), 0)
    return report


@pytest.mark.parametrize("insist", [False, True])
def test_a_run_that_is_stopped_tells_what_is_known_and_leaves_no_process(corpus, tmp_path, insist):
    report = _stopped(corpus, tmp_path / "mark", "await asyncio.sleep(600)", insist=insist)
    assert [(str(one.verdict), one.message) for one in report.results] == [
        ("pass", ""),
        ("not-run", "not finished: interrupted by SIGTERM"),
        ("not-run", "not started: interrupted by SIGTERM"),
    ]
    assert report.problems == ["interrupted by SIGTERM: 2 of 3 tests were not run to their end"]
    assert report.status == 2


def test_a_test_that_blocks_its_loop_is_killed_when_the_run_is_stopped(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr("harness.run.lanes.worker.TIDY", 0.3)
    began = time.monotonic()
    wait = "__import__('signal').pthread_sigmask(0, [2]); __import__('time').sleep(600)"
    report = _stopped(corpus, tmp_path / "mark", wait)
    assert time.monotonic() - began < 60
    assert report.status == 2
    assert [str(one.verdict) for one in report.results] == ["pass", "not-run", "not-run"]


def test_signals_ask_a_run_to_stop_and_a_second_one_insists():
    async def go():
        stop = Stop()
        with stop.on_signals():
            os.kill(os.getpid(), signal.SIGTERM)
            await stop.asked()
            first = (stop.reason, stop.forced)
            os.kill(os.getpid(), signal.SIGINT)
            await stop.insisted()
        return first, (stop.reason, stop.forced)

    assert asyncio.run(go()) == (("interrupted by SIGTERM", False), ("interrupted by SIGTERM", True))


def test_loops_that_are_stopped_report_the_loops_that_ran_to_their_end(corpus):
    write_corpus(corpus, alpha=PLAIN)

    async def go():
        stop = Stop()

        def third(event):
            if event["event"] == "end" and (ended := next(ends)) == 3:
                stop(f"interrupted after {ended}")

        ends = itertools.count(1)
        return await loop(request(corpus), Budget(loops=50), third, stop=stop)

    report = asyncio.run(go())
    assert report.problems == ["interrupted after 3: the loops that ran to their end count"]
    assert 2 <= report.tallies[0].runs <= 3


PLAIN_MODULE = HEAD.format(suite="bad") + PLAIN


def test_modules_that_nothing_is_selected_of_are_not_even_imported(corpus):
    write_corpus(corpus, alpha=PLAIN, beta=PLAIN)
    (corpus / "test_bad.py").write_text('from harness import suite\npytestmark = [suite("bad")]\nraise RuntimeError("imported")\n')
    assert len(verdicts(run(corpus, suites=("alpha",)))) == 2
    assert len(verdicts(run(corpus, only=("beta::test_one",)))) == 1
    # A name that is nowhere is looked for everywhere.
    (corpus / "test_bad.py").write_text(f'{PLAIN_MODULE}NAME = "gamma"\npytestmark = [suite(NAME)]\n')
    assert "gamma::test_one[json-memory]" in verdicts(run(corpus, suites=("gamma",)))
