"""A test of the corpus cannot pass by accident: what went wrong beside it, or proves nothing, makes its verdict `error`."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.harness.sample import run, write_corpus

BROKEN = '''
import gc, warnings
from client.connections.events import Listeners

async def must_hold():
    assert False, "never looked at"

class Loop:
    """Keeps what it holds in a cycle, so that only the garbage collector ends it."""
    def __init__(self, held):
        self.held, self.me = held, self

@requirement("TASK-001")
async def test_not_awaited(conform):
    """A forgotten await."""
    must_hold()

@requirement("TASK-001")
async def test_not_awaited_in_a_cycle(conform):
    """A forgotten await, kept alive by a cycle."""
    Loop(must_hold())

@requirement("TASK-001")
async def test_warning(conform):
    """A warning."""
    warnings.warn("old", DeprecationWarning)

@requirement("TASK-001")
async def test_spawn_lost(conform):
    """A spawned check fails and nobody looks."""
    conform.spawn(must_hold())

@requirement("TASK-001")
async def test_spawn_fails_when_it_is_ended(conform, clock):
    """A spawned check fails in its last words."""
    async def waits():
        try:
            await clock.sleep(100)
        finally:
            assert False, "last words"
    conform.spawn(waits())
    await clock.sleep(0.1)

@requirement("TASK-001")
async def test_task_lost(clock):
    """A task fails and nobody looks."""
    asyncio.create_task(must_hold())
    await clock.sleep(0.1)

@requirement("TASK-001")
async def test_task_kept_and_lost(clock, request):
    """A task that outlives the test fails and nobody looks."""
    request.node.kept = asyncio.create_task(must_hold())
    await clock.sleep(0.1)
    del request.node.kept

@requirement("TASK-001")
async def test_task_left_running(clock):
    """A task is never waited for."""
    async def checks_later():
        await clock.sleep(100)
        assert False
    asyncio.create_task(checks_later())
    await clock.sleep(0.1)

@requirement("TASK-001")
async def test_callback(clock):
    """A callback of the loop fails."""
    asyncio.get_running_loop().call_later(0.05, lambda: 1 / 0)
    await clock.sleep(0.1)

@requirement("TASK-001")
async def test_last_callback():
    """A callback of the loop fails just after the test."""
    asyncio.get_running_loop().call_soon(lambda: 1 / 0)

@requirement("TASK-001")
async def test_listener():
    """An assertion in a listener of the client fails."""
    def on_event(value):
        assert value == 99
    listeners = Listeners()
    listeners.add("event", on_event, once=False)
    listeners.emit("event", [1])

@requirement("TASK-001")
async def test_returns():
    """It returns its check."""
    return 1 == 2

@requirement("TASK-001")
def test_plain_returns():
    """It returns its check, without async."""
    return 1 == 2

@requirement("TASK-001")
async def test_witness_without_a_try(witness):
    """Nothing is tried."""
    for _ in []:
        witness.hit("window")

@requirement("TASK-001")
async def test_group_of_accidents():
    """A harness error within a group."""
    async def stale():
        raise HarnessError("stale")
    async with asyncio.TaskGroup() as group:
        group.create_task(stale())

@requirement("TASK-001")
@pytest.mark.xfail
async def test_xfail():
    """Expected to fail."""
    assert False

@requirement("TASK-001")
@pytest.mark.xfail
async def test_xpass():
    """Expected to fail, and passes."""

@requirement("TASK-001")
@pytest.mark.xfail(strict=True)
async def test_strict_xpass():
    """Expected to fail, and passes."""

@requirement("TASK-001")
async def test_xfail_inside():
    """Ends as expected to fail."""
    pytest.xfail("not yet")
'''
SOUND = '''
import warnings

async def fails():
    raise LookupError("looked at")

@requirement("TASK-001")
async def test_zz_settled(conform):
    """The error of spawned work is looked at."""
    task = conform.spawn(fails())
    assert isinstance(await conform.settled(task), LookupError)

@requirement("TASK-001")
async def test_zz_awaited(conform):
    """The error of spawned work is awaited."""
    with pytest.raises(LookupError):
        await conform.spawn(fails())

@requirement("TASK-001")
async def test_zz_spawn_ends_with_the_test(conform, clock):
    """What still runs is cancelled."""
    conform.spawn(clock.sleep(100))
    conform.spawn(asyncio.Event().wait())

@requirement("TASK-001")
async def test_zz_told_to_end(clock):
    """A cancelled task is no loss."""
    async def waits():
        await clock.sleep(100)
    asyncio.create_task(waits()).cancel()
    task = asyncio.create_task(waits())
    await clock.sleep(0.1)
    task.cancel()

@requirement("TASK-001")
@pytest.mark.filterwarnings("ignore:old")
async def test_zz_named_warning(conform):
    """A warning that the test names is no accident."""
    warnings.warn("old", DeprecationWarning)

@requirement("TASK-001")
async def test_zz_failure_stays_a_failure(conform):
    """What fails because of the target is the target's fault, whatever it leaves behind."""
    conform.spawn(fails())
    assert not "failed"
'''
EXPECTED = {
    "not_awaited": "coroutine 'must_hold' was never awaited",
    "not_awaited_in_a_cycle": "coroutine 'must_hold' was never awaited",
    "warning": "DeprecationWarning: old",
    "spawn_lost": "lost work of conform.spawn: must_hold: AssertionError: never looked at",
    "spawn_fails_when_it_is_ended": "AssertionError: last words",
    "task_lost": "Task exception was never retrieved: AssertionError: never looked at",
    "task_kept_and_lost": "Task exception was never retrieved: AssertionError: never looked at",
    "task_left_running": "still running when the test ended: test_task_left_running.<locals>.checks_later",
    "callback": "ZeroDivisionError",
    "last_callback": "ZeroDivisionError",
    "listener": "exception in connection listener",
    "returns": "the test returned False",
    "plain_returns": "the test returned False",
    "witness_without_a_try": "tried no window",
    "group_of_accidents": "ExceptionGroup",
    "xfail": "xfail is no verdict",
    "xpass": "xfail is no verdict",
    "strict_xpass": "xfail is no verdict",
    "xfail_inside": "xfail is no verdict",
}


@pytest.fixture
def corpus(tmp_path):
    return tmp_path / "corpus"


@pytest.mark.parametrize("time", ["virtual", "real"])
def test_what_goes_wrong_beside_a_test_is_its_error(corpus, time):
    report = run(write_corpus(corpus, alpha=BROKEN + SOUND), time=time)
    assert not report.problems, report.problems
    found = {result.id.name.removeprefix("test_"): result for result in report.results}
    for name, message in EXPECTED.items():
        result = found.pop(name)
        assert str(result.verdict) == "error", (name, result.verdict, result.message)
        assert message in result.message + result.detail, (name, result.message, result.detail)
        assert result.blame == "harness"
    verdicts = {name: str(result.verdict) for name, result in found.items()}
    assert verdicts.pop("zz_failure_stays_a_failure") == "fail"
    assert set(verdicts.values()) == {"pass"}, {name: result.message for name, result in found.items()}
    assert len(verdicts) == 5


def test_plain_pytest_judges_the_same(corpus):
    write_corpus(corpus, alpha=BROKEN + SOUND)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "harness.plugin", "--target=tests.harness.fake_target:make", "--encoding=json"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", "--asyncio-mode=auto", "-c", os.devnull, f"--rootdir={corpus}", str(corpus)],
        capture_output=True,
        text=True,
        check=False,
    )
    bad = set(re.findall(r"^(?:FAILED|ERROR) .*::test_(\w+)\[", done.stdout, re.MULTILINE))
    assert bad == {*EXPECTED, "zz_failure_stays_a_failure"}, done.stdout
