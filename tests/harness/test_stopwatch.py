"""Time in a debugger does not count for the limit of a test."""

from __future__ import annotations

import asyncio
import sys
import threading
import time

import pytest

from harness.session.stopwatch import Stopwatch, is_halted
from tests.harness.sample import run, write_corpus
from tests.harness.test_census import plain_pytest

HELD = '''
import pdb, sys, time

class Hands:
    """Types `continue` after a while."""
    def __init__(self, seconds):
        self.seconds = seconds
    def readline(self):
        time.sleep(self.seconds)
        return "c\\n"

class Screen:
    def write(self, text): pass
    def flush(self): pass

def hold(seconds):
    pdb.Pdb(stdin=Hands(seconds), stdout=Screen(), nosigint=True).set_trace(sys._getframe().f_back)

@requirement("TASK-001")
@pytest.mark.timeout(0.6)
async def test_held_in_pdb(conform):
    """Somebody looks at it for longer than its limit."""
    hold(1.5)
    assert (await conform.http.post("/", content=b"x")).text == "x"

@requirement("TASK-001")
@pytest.mark.timeout(0.6)
async def test_held_by_another_debugger(conform, monkeypatch):
    """Another debugger answers to breakpoint()."""
    monkeypatch.setattr(sys, "breakpointhook", lambda: time.sleep(1.5))
    breakpoint()
    assert (await conform.http.post("/", content=b"x")).text == "x"

@requirement("TASK-001")
@pytest.mark.timeout(0.6)
async def test_hangs_after(conform):
    """The limit holds again afterwards."""
    hold(1.0)
    while True:
        await asyncio.sleep(0)
'''


@pytest.mark.parametrize("mode", ["virtual", "real"])
def test_a_breakpoint_stops_the_clock_of_the_limit(tmp_path, mode):
    report = run(write_corpus(tmp_path / "corpus", alpha=HELD), time=mode)
    assert not report.problems
    found = {result.id.name: (str(result.verdict), result.message) for result in report.results}
    assert found["test_held_in_pdb"] == ("pass", "")
    assert found["test_held_by_another_debugger"] == ("pass", "")
    verdict, message = found["test_hangs_after"]
    # It spins, so that virtual time passes turn by turn; on a busy machine the same limit of real time is over first.
    assert verdict == "fail" and message in {f"TimedOut: timed out after 0.6 s of {one} time" for one in (mode, "real")}


LONG = '''
@requirement("TASK-001")
@pytest.mark.timeout(0.2)
async def test_marked(clock):
    """Takes longer than its mark allows."""
    await clock.sleep(0.5)

@requirement("TASK-001")
async def test_unmarked(clock):
    """Takes longer than one might ask for."""
    await clock.sleep(0.5)
'''


def test_the_limit_of_the_command_line_holds(tmp_path):
    corpus = write_corpus(tmp_path / "corpus", alpha=LONG)
    assert "2 passed" in plain_pytest(corpus, "--timeout=0", str(corpus)).stdout
    assert "1 failed, 1 passed" in plain_pytest(corpus, "--timeout=5", str(corpus)).stdout
    assert "2 failed" in plain_pytest(corpus, "--timeout=0.3", str(corpus)).stdout


def test_alarms_come_in_their_order_and_not_after_the_stop():
    heard: list[str] = []
    watch = Stopwatch([(0.15, lambda: heard.append("later")), (0.05, lambda: heard.append("soon")), (60, lambda: heard.append("never"))])
    deadline = time.monotonic() + 10
    while len(heard) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    watch.stop()
    assert heard == ["soon", "later"]
    Stopwatch([(0.05, lambda: heard.append("stopped"))]).stop()
    time.sleep(0.2)
    assert heard == ["soon", "later"]


def held_here():
    """What `PYTHONBREAKPOINT` names below."""
    return is_halted(threading.get_ident())


def test_what_pythonbreakpoint_names_is_a_debugger(monkeypatch):
    assert not held_here()
    monkeypatch.setattr(sys, "breakpointhook", sys.__breakpointhook__)
    monkeypatch.setenv("PYTHONBREAKPOINT", f"{__name__}.held_here")
    monkeypatch.setitem(sys.modules, __name__, sys.modules[held_here.__module__])
    assert held_here()
    assert not is_halted(-1)


def test_a_loop_that_waits_is_not_halted():
    async def look():
        return is_halted(threading.get_ident())

    assert asyncio.run(look()) is False
