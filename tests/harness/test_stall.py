"""A stalled machine excuses what comes too late, and nothing else."""

from __future__ import annotations

import httpx
import pytest

from harness.errors import SchemaViolation, TimedOut, TimingMissed
from harness.events.verdict import Blame, Verdict
from harness.session.stall import STALL, StallProbe
from harness.session.verdicts import Phase, excuse_stall
from harness.testing.clock import Clock
from harness.testing.eventually import Eventually
from tests.harness.sample import only, run, write_corpus

STALLING = '''
import os, signal, subprocess, sys, time

def stall(seconds):
    """Stop this process, as a machine without time for it would, and let somebody else continue it."""
    code = f"import os, signal, time; time.sleep({seconds}); os.kill({os.getpid()}, signal.SIGCONT)"
    with subprocess.Popen([sys.executable, "-S", "-c", code]):
        os.kill(os.getpid(), signal.SIGSTOP)

@requirement("TASK-001")
async def test_window(conform, clock, witness):
    """The window is short."""
    before = clock.monotonic()
    %s
    witness.hit("in time", True)
    %s
    clock.took(before, most=conform.limit(0.15))
'''


def _result(tmp_path, first: str, second: str = "", suite: str = "gamma_timing"):
    corpus = write_corpus(tmp_path / "corpus", **{suite: STALLING % (first, second or "pass")})
    return only(run(corpus, time="real"))


def test_a_window_missed_because_the_machine_stalled_is_inconclusive(tmp_path):
    result = _result(tmp_path, "stall(0.5)")
    assert str(result.verdict) == "inconclusive"
    assert "the machine stood still for" in result.message
    assert "at most 0.15 s are allowed" in result.message
    assert result.stall >= STALL
    assert result.blame == ""


def test_a_wrong_value_is_wrong_although_the_machine_stalled(tmp_path):
    result = _result(tmp_path, "stall(0.5)", 'assert conform.encoding == "morse", "another value"')
    assert (str(result.verdict), result.message, result.blame) == ("fail", "another value", "target")
    assert result.stall >= STALL


@pytest.mark.parametrize(
    ("raised", "verdict"),
    [
        (TimedOut("timed out after 3 s"), "inconclusive"),
        (TimingMissed("took 2 s"), "inconclusive"),
        (TimeoutError(), "inconclusive"),
        (httpx.ReadTimeout("no answer"), "inconclusive"),
        (ExceptionGroup("both", [TimeoutError(), TimedOut("late")]), "inconclusive"),
        (ExceptionGroup("one is wrong", [TimeoutError(), AssertionError("2 == 3")]), "fail"),
        (AssertionError("it did not happen within 5 s"), "fail"),
        (SchemaViolation("no such field"), "fail"),
        (KeyError("count"), "fail"),
        (httpx.ConnectError("refused"), "fail"),
    ],
    ids=str,
)
def test_what_a_stall_explains_is_told_by_the_type_of_the_exception(raised, verdict):
    failed = Phase(Verdict.FAIL, "why", "trace", Blame.TARGET)
    found = excuse_stall(failed, 0.4, raised)
    assert str(found.verdict) == verdict
    assert (found is failed) is (verdict == "fail")


async def test_deadlines_limits_and_orders_of_timers_are_late_and_other_values_wrong():
    clock = Clock(virtual=False)
    with pytest.raises(TimingMissed, match=r"the sleep did not happen within 0\.01 s"):
        await Eventually()(lambda: False, timeout=0.01, what="the sleep")
    with pytest.raises(TimingMissed, match=r"took 2\.\d+ s, at most 1 s are allowed"):
        clock.took(clock.monotonic() - 2, most=1)
    with pytest.raises(AssertionError, match="at least 3 s are needed") as early:
        clock.took(clock.monotonic() - 2, least=3, most=5)
    assert 2 <= clock.took(clock.monotonic() - 2, least=1, most=5) < 5
    clock.in_order(["a", "b"], ["a", "b"])
    with pytest.raises(TimingMissed, match="fired in the order"):
        clock.in_order(["b", "a"], ["a", "b"])
    with pytest.raises(AssertionError, match="fired: ") as other:
        clock.in_order(["a", "a"], ["a", "b"])
    assert not isinstance(early.value, TimingMissed)
    assert not isinstance(other.value, TimingMissed)


def test_a_window_missed_by_the_target_is_a_failure(tmp_path):
    assert str(_result(tmp_path, "await asyncio.sleep(0.5)").verdict) == "fail"


@pytest.mark.flaky(reruns=2)
def test_blocking_the_loop_is_no_stall_of_the_machine(tmp_path):
    result = _result(tmp_path, "time.sleep(0.5)")
    assert str(result.verdict) == "fail"
    assert result.stall < STALL


def test_a_pass_stays_a_pass_and_carries_its_witnesses(tmp_path):
    result = _result(tmp_path, "stall(0.5)", "before = clock.monotonic()")
    assert str(result.verdict) == "pass"
    assert dict(result.witnesses) == {"in time": [1, 1], "measured a time": [1, 1]}
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
