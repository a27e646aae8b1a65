"""A stalled machine excuses a missed window, and nothing else."""

from __future__ import annotations

import pytest

from harness.stall import STALL, StallProbe
from tests.harness.sample import only, run, write_corpus

STALLING = '''
import os, signal, subprocess, sys, time

def stall(seconds):
    """Stop this process, as a machine without time for it would, and let somebody else continue it."""
    code = f"import os, signal, time; time.sleep({seconds}); os.kill({os.getpid()}, signal.SIGCONT)"
    with subprocess.Popen([sys.executable, "-S", "-c", code]):
        os.kill(os.getpid(), signal.SIGSTOP)

@requirement("TASK-001")
async def test_window(conform, witness):
    """The window is short."""
    before = time.monotonic()
    %s
    witness.hit("in time", True)
    %s
    assert time.monotonic() - before < 0.15, "missed the window"
'''


def _result(tmp_path, first: str, second: str = "", suite: str = "gamma_timing"):
    corpus = write_corpus(tmp_path / "corpus", **{suite: STALLING % (first, second or "pass")})
    return only(run(corpus, time="real"))


def test_a_window_missed_because_the_machine_stalled_is_inconclusive(tmp_path):
    result = _result(tmp_path, "stall(0.5)")
    assert str(result.verdict) == "inconclusive"
    assert "the machine stood still for" in result.message
    assert "missed the window" in result.message
    assert result.stall >= STALL
    assert result.blame == ""


def test_a_window_missed_by_the_target_is_a_failure(tmp_path):
    assert str(_result(tmp_path, "await asyncio.sleep(0.5)").verdict) == "fail"


@pytest.mark.flaky(reruns=2)
def test_blocking_the_loop_is_no_stall_of_the_machine(tmp_path):
    result = _result(tmp_path, "time.sleep(0.5)")
    assert str(result.verdict) == "fail"
    assert result.stall < STALL


def test_a_pass_stays_a_pass_and_carries_its_witnesses(tmp_path):
    result = _result(tmp_path, "stall(0.5)", "before = time.monotonic()")
    assert str(result.verdict) == "pass"
    assert dict(result.witnesses) == {"in time": [1, 1]}
    assert result.stall >= STALL


def test_other_suites_are_not_watched(tmp_path):
    assert str(_result(tmp_path, "stall(0.5)", suite="gamma").verdict) == "fail"


@pytest.mark.flaky(reruns=2)
def test_a_quiet_block_has_no_stall():
    import threading

    with StallProbe() as probe:
        threading.Event().wait(0.1)
    assert probe.worst < STALL
    assert not probe.stalled
