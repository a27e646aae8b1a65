"""The fixtures of a driver test."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from harness.errors import HarnessError, TargetDied, UsageError
from harness.session.corpus import PHASES, TEST
from harness.session.deployments import Deployments
from harness.session.evidence import Evidence
from harness.session.guard import RUNNING
from harness.session.windows import observed
from harness.targets import Target, TimeMode
from harness.testing import expect
from harness.testing.boundary import Boundary
from harness.testing.clock import Clock
from harness.testing.conform import Conform
from harness.testing.eventually import Eventually
from harness.testing.witness import Witness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from harness.identity import Variant
    from harness.masking import Mask
    from harness.session.corpus import CorpusTest
    from harness.session.recorder import Recorder
    from harness.session.settings import Settings

SETTINGS: pytest.StashKey[Settings] = pytest.StashKey()
TARGET: pytest.StashKey[Target] = pytest.StashKey()
RECORDER: pytest.StashKey[Recorder] = pytest.StashKey()
WITNESS: pytest.StashKey[Witness] = pytest.StashKey()
MASK: pytest.StashKey[Mask] = pytest.StashKey()
EVIDENCE: pytest.StashKey[Evidence] = pytest.StashKey()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def deployments(request: pytest.FixtureRequest) -> AsyncIterator[Deployments]:
    """The running targets of the session."""

    def give_up(problem: str) -> None:
        request.config.stash[RECORDER].problem(problem)
        # No further test could start a target either; each would wait its whole patience for the same answer.
        request.session.shouldstop = problem

    settings = request.config.stash[SETTINGS]
    running = Deployments(settings.target, request.config.stash[MASK], restart=settings.restart_target, give_up=give_up)
    yield running
    await running.stop()


@pytest.fixture
def corpus_test(request: pytest.FixtureRequest) -> CorpusTest:
    """What the harness knows of the running test."""
    test = request.node.stash.get(TEST, None)
    if test is None:
        raise UsageError("this fixture is for corpus tests: give the module pytestmark = [suite(...)]")
    return test  # type: ignore[no-any-return]


@pytest.fixture
def variant(request: pytest.FixtureRequest) -> Variant:
    """The encoding and storage of the running test."""
    return request.param  # type: ignore[no-any-return]


@pytest_asyncio.fixture(loop_scope="session")
async def conform(request: pytest.FixtureRequest, corpus_test: CorpusTest, deployments: Deployments) -> AsyncIterator[Conform]:
    """The session with the target, in the test's encoding."""
    deployment = await deployments.get(corpus_test)
    target, endpoint = deployment.target, deployment.endpoint
    evidence = request.node.stash[EVIDENCE] = Evidence(getattr(target, "log_file", None), request.config.stash[MASK])
    session = Conform(target, endpoint, corpus_test.variant, corpus_test.id, evidence.transcript)
    session.witness = request.node.stash[WITNESS]
    guard = request.node.stash.get(RUNNING, None)
    with deployment.watched(corpus_test, guard.abort if guard is not None else None):
        yield session
    # Before the looks below: what the harness asks for its evidence is not the test's use of its encoding.
    evidence.encoded = session.watch.used
    failed = any(not phase.verdict.good for phase in request.node.stash.get(PHASES, []))
    # Everything after this line of the transcript is ours; a reader must not take it for part of the failure.
    evidence.transcript.mark("end of the test")
    settings = request.config.stash[SETTINGS]
    try:
        if failed:
            await deployment.check(corpus_test)
        # A snapshot is for a bundle; without one, a look for the timeline is enough. From a dead target there is neither.
        if failed and deployment.death is None and settings.evidence is not None:
            await evidence.snapshot(session)
        elif deployment.death is None and (failed or settings.timelines):
            await evidence.look(session)
    finally:
        # In `finally`, as connections left open would keep actors awake into the next test, whatever went wrong with the evidence.
        lost = await session.aclose()
    if deployment.death is not None:
        raise TargetDied(f"the target died: {deployment.death}")
    # A test that failed keeps its own reason: malformed answers and lost work are then consequences as likely as causes.
    if not failed:
        evidence.check()
        if lost:
            raise HarnessError("lost work of conform.spawn: " + "; ".join(lost))


@pytest.fixture
def clock(request: pytest.FixtureRequest) -> Clock:
    """The clock, virtual or real."""
    return Clock(virtual=request.config.stash[SETTINGS].time is TimeMode.VIRTUAL, saw=partial(_saw, request.node))


@pytest.fixture
def eventually(request: pytest.FixtureRequest) -> Eventually:
    """Waiting for what is observed, with a deadline; see `harness.testing.eventually`."""
    return Eventually(request.config.stash[TARGET].time_scale, partial(_saw, request.node))


@pytest.fixture
def expect_error() -> Any:
    """Expecting a structured error; see `harness.testing.expect`."""
    return expect.expect_error


@pytest.fixture
def boundary(conform: Conform, eventually: Eventually) -> Boundary:
    """Crosses sleep and destroy boundaries; handles from before become stale."""
    return Boundary(conform, eventually)


@pytest.fixture
def witness(request: pytest.FixtureRequest) -> Witness:
    """`witness.hit("window", bool)`: a timing test proves that it hit its window."""
    made: Witness = request.node.stash[WITNESS]
    made.asked = True
    return made


def look_for_windows(item: pytest.Item, test: CorpusTest) -> None:
    """Begin to count the windows of a test; when it is about to pass, hold them against what it is about."""
    # For every attempt anew: a window that an earlier, failed attempt hit proves nothing of this one.
    made = item.stash[WITNESS] = Witness()
    guard = item.stash.get(RUNNING, None)

    def check() -> None:
        evidence = item.stash.get(EVIDENCE, None)
        # Read only when the test is about to pass: of a failed one nobody asks which window it hit.
        seen = observed(evidence.transcript) if test.timing and evidence is not None else {}
        made.check(seen, needed=test.needs_window)

    if guard is not None:
        guard.before_pass = [check]


def _saw(node: pytest.Item, window: str, **about: Any) -> None:
    evidence = node.stash.get(EVIDENCE, None)
    if evidence is not None:
        evidence.transcript.saw(window, **about)
