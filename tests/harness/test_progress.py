"""The line of a run: how many, how fast, how long still."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from harness.cli import progress as module
from harness.cli.progress import RunProgress, duration


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def log(monkeypatch):
    """What is written to standard error when it is no terminal."""
    stream = io.StringIO()
    monkeypatch.setattr(module, "err", Console(file=stream, width=160, highlight=False))
    return stream


def session(parallel: int, timing: int) -> dict:
    return {"event": "session", "selected": {"parallel": parallel, "timing": timing}}


def run(progress: RunProgress, clock: Clock, count: int, seconds: float, verdict: str = "pass") -> None:
    for number in range(count):
        progress.event({"event": "started", "id": f"s::t{number}"})
        clock.now += seconds
        progress.event({"event": "result", "id": f"s::t{number}", "verdict": verdict})


def test_count_rate_and_time_left_stand_in_a_log_every_so_often(log):
    clock = Clock()
    with RunProgress("mine, real time", rounds=1, clock=clock) as progress:
        progress.event(session(60, 60))
        run(progress, clock, 40, 0.5)
    # 20 s: one line, after the 15th.
    assert log.getvalue().splitlines() == ["mine, real time: 30 of 120, 2.0/s, about 45 s left"]


def test_bad_verdicts_are_named_at_once_and_counted(log):
    clock = Clock()
    progress = RunProgress("mine", rounds=1, clock=clock)
    progress.event(session(10, 0))
    run(progress, clock, 1, 0.1, "fail")
    run(progress, clock, 5, 4.0)
    assert log.getvalue().splitlines() == ["FAIL         s::t0", "mine: 5 of 10, 1 bad, 18.6/min, about 16 s left"]


@pytest.mark.parametrize(("lane", "rounds", "total"), [("all", 1, 30), ("timing", 1, 20), ("all", 3, 90), ("all", None, None)])
def test_the_whole_is_what_was_selected(log, lane, rounds, total):
    progress = RunProgress("mine", lane=lane, rounds=rounds, clock=Clock())
    progress.event(session(10, 20))
    # Only the first of several workers has announced its share.
    progress.event({"event": "collected", "id": "s::t"})
    assert progress.total == total


def test_without_a_known_number_no_time_left_is_told(log):
    clock = Clock()
    progress = RunProgress("loops", clock=clock)
    progress.event(session(1, 0))
    run(progress, clock, 20, 1.0)
    assert log.getvalue().splitlines() == ["loops: 15, 1.0/s"]


def test_few_results_are_no_rate(log):
    clock = Clock()
    progress = RunProgress("mine", rounds=1, clock=clock)
    progress.event(session(10, 0))
    run(progress, clock, 1, 20.0)
    assert log.getvalue().splitlines() == ["mine: 1 of 10"]


def test_a_terminal_has_a_bar_and_no_lines(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(module, "err", Console(file=stream, width=160, force_terminal=True, color_system=None))
    clock = Clock()
    with RunProgress("mine", rounds=1, clock=clock) as progress:
        progress.event(session(40, 0))
        run(progress, clock, 30, 1.0)
        progress._bar.refresh()
    assert "30/40 1.0/s, about 10 s left" in stream.getvalue()
    assert "30 of 40" not in stream.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (3599.7, "1 h 0 min"), (7500, "2 h 5 min")]
)
def test_durations_are_for_people(seconds, text):
    assert duration(seconds) == text
