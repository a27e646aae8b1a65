"""The pytest plug-in: options, loop, matrix, verdicts and events. Each hook hands over to the module that knows the concept."""

from __future__ import annotations

import asyncio
import inspect
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from harness import masking
from harness.did_you_mean import named
from harness.errors import HarnessError, UsageError
from harness.evidence.refusals import refusal
from harness.requirements import sets
from harness.session import corpus, settings, verdicts, windowless
from harness.session.census import FAULTS, Census
from harness.session.corpus import PHASES, TEST
from harness.session.evidence import write_bundle
from harness.session.fixtures import (
    EVIDENCE,
    MASK,
    RECORDER,
    SETTINGS,
    TARGET,
    WITNESS,
    boundary,
    clock,
    conform,
    corpus_test,
    deployments,
    eventually,
    expect_error,
    look_for_windows,
    variant,
    witness,
)
from harness.session.guard import RUNNING, Guard
from harness.session.lost import Lost, returns_nothing
from harness.session.recorder import Recorder, ResultWriter
from harness.session.stall import StallProbe
from harness.session.virtual_loop import new_virtual_loop
from harness.targets import TimeMode

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from pathlib import Path

    from harness.masking import Mask

# Fixtures become known to pytest by being names of the plug-in module.
__all__ = [
    "boundary",
    "clock",
    "conform",
    "corpus_test",
    "deployments",
    "eventually",
    "expect_error",
    "variant",
    "witness",
]

SELECTED: pytest.StashKey[dict[str, int]] = pytest.StashKey()
LOST: pytest.StashKey[Lost] = pytest.StashKey()
STALL: pytest.StashKey[StallProbe] = pytest.StashKey()
BEGAN: pytest.StashKey[float] = pytest.StashKey()
TIME_LIMIT = 60.0
"""Real seconds per test before scaling by the target; the mark `timeout(seconds)` overrides. `--timeout` sets another, 0 none."""

MARKS = (
    "suite(name): makes a module part of the corpus",
    "timing: depends on time; one worker, never in parallel",
    "untimed: nothing of this test depends on time, although its suite does",
    "requirement(*ids): the requirement ids a test checks",
    "capability(*names): skipped on targets that do not declare them",
    "depends_on(*tests): the tests without which this one cannot pass",
    "encodings(*names): collected for these encodings only, or once for `any`",
    "virtual_time: run this unit test on a virtual-time loop",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options of `harness.session.settings`."""
    settings.add_options(parser)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Read the options and open the event file."""
    # Declared here, so that `--strict-markers` of a corpus refuses a misspelt one.
    for mark in MARKS:
        config.addinivalue_line("markers", mark)
    try:
        config.stash[SETTINGS], config.stash[TARGET] = settings.from_config(config)
    except UsageError as error:
        raise pytest.UsageError(str(error)) from error
    # Before the recorder, which writes nothing that did not go through it.
    config.stash[MASK] = masking.of_environment(config.stash[SETTINGS].target.token)
    config.stash[LOST] = Lost()
    config.stash[RECORDER] = recorder = Recorder(config.stash[SETTINGS].events, config.stash[MASK])
    config.pluginmanager.register(ResultWriter(recorder), "conform-results")
    # Events are asked for by `conform`; a person at a terminal may point pytest at unit tests besides.
    judged = config.stash[SETTINGS].events is not None
    config.pluginmanager.register(Census(recorder, config.stash[LOST], judged=judged), "conform-census")


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Any]:
    """The loop of a test: virtual for the corpus in virtual time and for unit tests marked `virtual_time`."""
    in_corpus = corpus.suite_of(item) is not None
    virtual = config.stash[SETTINGS].time is TimeMode.VIRTUAL if in_corpus else item.get_closest_marker("virtual_time") is not None
    return {"virtual": new_virtual_loop} if virtual else {"real": asyncio.new_event_loop}


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector) -> None:
    """Put corpus modules on the session's loop before pytest-asyncio looks at them."""
    corpus.adopt_module(collector)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out modules that nothing was selected of: loops over one test start in a fraction of the time."""
    return True if corpus.elsewhere(collection_path, config.stash[SETTINGS]) else None


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Multiply corpus tests by the matrix."""
    corpus.parametrize(metafunc, metafunc.config.stash[SETTINGS])


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Describe the corpus tests, select this session's share, and announce it."""
    wanted = config.stash[SETTINGS]
    target, known = config.stash[TARGET], set()
    for item in items:
        if isinstance(item, pytest.Function) and (test := corpus.describe(item)) is not None:
            standing = sets.load(item.path.parent).standing(test, target.profile, target.name)
            item.stash[TEST] = replace(test, standing=standing, needs_window=windowless.needed(test, item.path.parent))
            known.add(test.id.suite)
    if missing := set(wanted.suites) - known:
        # pytest announces what is left as collected even after this error.
        items.clear()
        raise pytest.UsageError(f"no such suite: {named(sorted(missing), known)}; there are: {', '.join(sorted(known))}")
    if unmatched := corpus.unmatched(items, wanted):
        items.clear()
        raise pytest.UsageError(f"no such test in this selection: {', '.join(unmatched)}")
    try:
        wanted = corpus.part(items, wanted)
    except UsageError as error:
        items.clear()
        raise pytest.UsageError(str(error)) from error
    # Before lanes take their shares: each tells the whole, so that the account can add them up.
    config.stash[SELECTED] = corpus.selected(items, wanted)
    items[:], dropped = corpus.select(items, wanted)
    items[:], done = corpus.order(items, wanted)
    config.stash[corpus.DROPPED] = [*dropped, *done]
    if config.stash[corpus.DROPPED]:
        config.hook.pytest_deselected(items=config.stash[corpus.DROPPED])


def pytest_collection_finish(session: pytest.Session) -> None:
    """Write what will run, after every plug-in had its say, and wrap the tests."""
    recorder = session.config.stash[RECORDER]
    selected = session.config.stash.get(SELECTED, {"parallel": 0, "timing": 0})
    recorder.session(session.config.stash[SETTINGS], session.config.stash[TARGET], selected)
    scale = session.config.stash[TARGET].time_scale
    asked: float | None = session.config.getoption("timeout")
    for item in session.items:
        test = item.stash.get(TEST, None)
        if test is None:
            continue
        assert isinstance(item, pytest.Function)
        recorder.collected(
            id=str(test.id),
            suite=test.id.suite,
            encoding=test.variant.encoding,
            storage=test.variant.storage,
            requirements=test.requirements,
            capabilities=sorted(test.capabilities),
            timing=test.timing,
            doc=test.doc,
            location=test.location,
            depends=test.depends,
            standing=test.standing,
        )
        mark = item.get_closest_marker("timeout")
        limit = float(mark.args[0]) if mark is not None and mark.args else TIME_LIMIT if asked is None else asked
        if asked == 0:
            limit = 0.0
        item.add_marker(pytest.mark.timeout(limit * scale), append=False)
        # Not appended: a mark of the test or its module is applied later, so it wins.
        item.add_marker(pytest.mark.filterwarnings("error"), append=False)
        if inspect.iscoroutinefunction(item.obj):
            item.stash[RUNNING] = Guard(item, item.obj, session.config.stash[LOST])
        else:
            item.obj = returns_nothing(item.obj)
            item.add_marker(pytest.mark.filterwarnings("ignore:The test .* is marked with '@pytest.mark.asyncio':pytest.PytestWarning"))


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> bool | None:
    """Time corpus tests by `harness.session.guard`; leave the others to pytest-timeout."""
    guard = item.stash.get(RUNNING, None)
    if guard is None:
        return None
    guard.arm(settings)
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_cancel_timer(item: pytest.Item) -> bool | None:
    """The counterpart of `pytest_timeout_set_timer`."""
    guard = item.stash.get(RUNNING, None)
    if guard is None:
        return None
    guard.disarm()
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Check the marks and skip what the target does not declare."""
    test = item.stash.get(TEST, None)
    if test is None:
        return
    item.config.stash[RECORDER].started(str(test.id))
    # By test and not by session: a test alone must see the same numbers as in the whole run.
    random.seed(f"{item.config.stash[SETTINGS].seed}:{test.id}")
    look_for_windows(item, test)
    test.check()
    if faults := item.stash.get(FAULTS, []):
        raise HarnessError("; ".join(faults))
    # An expected failure would be an expectation of the corpus about a target; those are in ledgers.
    if item.get_closest_marker("xfail") is not None:
        raise verdicts.NoExpectedFailure
    missing = test.capabilities - item.config.stash[TARGET].capabilities
    if missing:
        pytest.skip(f"unsupported: the target does not declare {', '.join(sorted(missing))}")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Watch for stalls of the machine beside a timing test in real time, and for what is lost beside any."""
    test = item.stash.get(TEST, None)
    if test is None:
        return (yield)
    if not test.timing or item.config.stash[SETTINGS].time is TimeMode.VIRTUAL:
        result = yield
    else:
        with StallProbe() as probe:
            item.stash[STALL] = probe
            result = yield
    item.config.stash[LOST].check()
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """Look a last time for what was lost beside the test; what a failed test leaves behind is not its verdict."""
    result = yield
    if item.stash.get(TEST, None) is not None:
        lost = item.config.stash[LOST]
        if all(phase.verdict.good for phase in item.stash.get(PHASES, [])):
            lost.check()
        lost.take()
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Judge each phase; the last one gives the test its verdict."""
    report = yield
    mask = item.config.stash[MASK]
    _hide(report, mask)
    test = item.stash.get(TEST, None)
    if test is None:
        return report
    if call.when == "setup":
        item.stash[PHASES] = []
        item.stash.setdefault(STALL, StallProbe()).worst = 0.0
        item.stash[BEGAN] = call.start
    raised = verdicts.refuse_xfail(report) or (call.excinfo.value if call.excinfo is not None else None)
    phase = mask.value(verdicts.phase_verdict(report, raised))
    probe = item.stash.get(STALL, None)
    if call.when == "call" and probe is not None and probe.stalled:
        phase = verdicts.excuse_stall(phase, probe.worst, raised)
    phases = item.stash[PHASES]
    if call.when == "teardown":
        phase = verdicts.excuse_leftovers(phase, phases, raised)
    phases.append(phase)
    if call.when == "teardown":
        # With the report, because a plug-in for reruns decides only there whether this was the last attempt.
        report.user_properties.append(("conform", _result(item, test, call, report)))
        # Every message of the test is in there, and the session keeps its items to the end.
        if EVIDENCE in item.stash:
            del item.stash[EVIDENCE]
    return report


def _hide(report: pytest.TestReport, mask: Mask) -> None:
    """Take the secrets out of what pytest prints of a failure; its colours are lost only where there was one."""
    shown = mask.text(report.longreprtext)
    if shown != report.longreprtext:
        report.longrepr = shown
    report.sections[:] = [(name, mask.text(text)) for name, text in report.sections]


def _result(item: pytest.Item, test: corpus.CorpusTest, call: pytest.CallInfo[None], report: pytest.TestReport) -> dict[str, Any]:
    phases = item.stash[PHASES]
    decided = verdicts.combine(phases)
    witnessed = item.stash.get(WITNESS, None)
    wanted = item.config.stash[SETTINGS]
    evidence = item.stash.get(EVIDENCE, None)
    bundle, timeline = None, {}
    if evidence is not None and (wanted.timelines or not decided.verdict.good):
        timeline = {"timeline": evidence.timeline(report.sections, virtual=wanted.time is TimeMode.VIRTUAL)}
    if not decided.verdict.good:
        # An assertion tells a wrong answer, not that the target would not talk: what allows it stands in its words.
        refused = refusal(evidence.transcript) if evidence is not None else None
        if refused is not None:
            decided = replace(decided, detail=f"{decided.detail}\nthe target refused {item.config.stash[MASK].text(refused)}")
        bundle = write_bundle(wanted, test, decided, evidence, report, item, item.config.stash[MASK])
    return {
        "id": str(test.id),
        "verdict": str(decided.verdict),
        "blame": str(decided.blame),
        "blocked_by": decided.blocked_by,
        "bundle": str(bundle) if bundle is not None else "",
        "message": decided.message,
        "detail": decided.detail,
        "seconds": round(call.stop - item.stash[BEGAN], 6),
        "encoded": evidence is not None and evidence.encoded,
        "stall": round(item.stash[STALL].worst, 3),
        "witnesses": witnessed.windows if witnessed is not None else {},
        **timeline,
    }
