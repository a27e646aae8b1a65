"""What counts as a window that a timing test met, and that a pass without one is none."""

from __future__ import annotations

from typing import Any

import pytest

from client import Exchange, SocketFrame
from harness.cli.summary import timing_lines
from harness.errors import UsageError
from harness.evidence.transcript import Mark, Sighting
from harness.session.windowless import load
from harness.session.windows import observed
from harness.testing.witness import NO_WINDOW
from tests.harness.sample import run, verdicts, write_corpus


def call(
    started: float, ended: float, path: str = "/gateway/a/action/slow", generation: str = "", actor: str = "a", status: int | None = 200
) -> Exchange:
    headers = {"x-rivet-actor": actor, "x-rivet-actor-generation": generation} if generation else {}
    return Exchange("POST", f"http://here{path}", {}, b"", started, ended, status, headers)


def seen(at: float, window: str = "asleep", since: float | None = None, *, whole: bool = False) -> Sighting:
    return Sighting(at, f"seen: {window}", window, since, whole)


def frame(at: float, kind: str, **about: Any) -> SocketFrame:
    return SocketFrame(1, kind, at, **about)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("entries", "windows"),
    [
        ([], {}),
        ([call(0, 1), seen(1)], {}),  # the last thing a test looks at is its outcome
        ([seen(1), call(1, 2)], {"asleep": 1}),
        ([seen(1), frame(2, "sent")], {"asleep": 1}),
        ([seen(1), frame(2, "received"), Mark(3, "end of the test")], {}),
        ([frame(1, "closed", code=1000, reason="actor.stopped")], {"a socket closed by the stop": 1}),
        ([frame(1, "closed", code=1000, reason=""), frame(2, "closed", code=1006)], {}),
        ([seen(1), call(0.5, 2)], {}),  # was under way before
        ([seen(1), seen(3, "waited 2 s", 1), call(3, 4)], {"asleep": 1, "waited 2 s": 1}),
        ([seen(1), seen(3, "waited 2 s", 1)], {"asleep": 1}),
        ([seen(1), call(1, 2), seen(3), call(3, 4), call(4, 5)], {"asleep": 2}),
        ([seen(1, "measured a time", whole=True)], {"measured a time": 1}),
        ([call(1, 2), call(0, 3)], {"asked during action/slow": 1}),
        ([call(1, 2), call(1.5, 3)], {}),  # overlaps, but which was first is not known
        ([call(1, 2), call(0, 3, "/actors")], {}),
        ([call(1, 2, status=None), call(0, 3)], {}),
        ([call(0, 1, generation="1"), call(1, 2, generation="1"), call(2, 3, generation="2")], {"a later generation answers": 1}),
        ([call(0, 1, generation="1"), call(1, 2, generation="2", actor="b")], {}),
        ([call(0, 1, generation="2"), call(1, 2, generation="1"), call(2, 3, generation="2")], {}),
    ],
)
def test_what_the_harness_saw(entries, windows):
    assert observed(entries) == windows


CORPUS = '''
@requirement("TASK-001")
async def test_asleep_and_asked(conform, boundary, eventually):
    """The state is seen, and then something is done."""
    actor = "actor-1"
    await conform.http.post(f"/actors/{actor}/sleep")
    await boundary.wait_asleep(actor)
    await conform.http.get("/count")

@requirement("TASK-001")
async def test_outcome(conform, eventually):
    """The state is the last thing that is looked at."""
    await eventually(lambda: True, what="nothing in particular")

@requirement("TASK-001")
async def test_unnamed(conform, eventually):
    """What was waited for has no name."""
    await eventually(lambda: True)
    await conform.http.get("/count")

@requirement("TASK-001")
async def test_plain(conform):
    """Nothing of a moment."""
    await conform.http.get("/count")

@requirement("TASK-001")
@pytest.mark.parametrize("number", [1, 2])
async def test_listed(conform, number):
    """Nothing of a moment, and listed as such."""
    await conform.http.get("/count")

@requirement("TASK-001")
async def test_measured(conform, clock):
    """A time is measured."""
    before = clock.monotonic()
    await conform.http.get("/wait?seconds=1")
    clock.took(before, conform.limit(5), 1)

@requirement("TASK-001")
@untimed
async def test_untimed(conform):
    """Stands beside tests of moments, and is none."""
    await conform.http.get("/count")

@requirement("TASK-001")
async def test_witness(conform, witness):
    """The test says so itself."""
    witness.hit("open")
'''
LIST = '[none]\n"alpha-timing::test_listed" = "its moment is inside the target"\n'


def names(found: dict[str, str]) -> dict[str, str]:
    return {name.partition("::")[2].partition("[")[0]: verdict for name, verdict in found.items()}


def test_a_timing_test_without_a_window_is_inconclusive_where_the_corpus_is_held_to_it(tmp_path):
    corpus = write_corpus(tmp_path / "corpus", alpha_timing=CORPUS, beta=CORPUS)
    (corpus / "windows.toml").write_text(LIST)
    report = run(corpus, suites=("alpha-timing",))
    none = dict.fromkeys(("test_outcome", "test_unnamed", "test_plain"), "inconclusive")
    assert names(verdicts(report)) == {
        "test_asleep_and_asked": "pass",
        "test_listed(1)": "pass",
        "test_listed(2)": "pass",
        "test_measured": "pass",
        "test_untimed": "pass",
        "test_witness": "pass",
        **none,
    }
    assert {result.message for result in report.bad} == {NO_WINDOW}
    assert {result.id.name: dict(result.witnesses) for result in report.results if result.witnesses} == {
        "test_asleep_and_asked": {"asleep": [1, 1]},
        "test_measured": {"measured a time": [1, 1]},
        "test_witness": {"open": [1, 1]},
    }
    assert timing_lines(report) == [
        "3 windows of 3 tests: hit 3 of 3",
        "2 timing tests passed without a window: alpha-timing::test_listed(1), alpha-timing::test_listed(2)",
    ]
    # What is in no timing suite is about no moment.
    assert set(verdicts(run(corpus, suites=("beta",))).values()) == {"pass"}


def test_without_the_list_they_are_only_told(tmp_path):
    report = run(write_corpus(tmp_path / "corpus", alpha_timing=CORPUS))
    assert set(verdicts(report).values()) == {"pass"}
    lacking = ["test_listed(1)", "test_listed(2)", "test_outcome", "test_plain", "test_unnamed"]
    assert report.without_window == [f"alpha-timing::{name}" for name in lacking]


@pytest.mark.parametrize("text", ['[none]\n"a::test_x" = " "', "[none]\na = 1", "[some]\n", "[none", "held = true\n"])
def test_a_list_that_is_none_is_refused(tmp_path, text):
    (tmp_path / "windows.toml").write_text(text)
    with pytest.raises(UsageError, match=r"windows\.toml"):
        load(tmp_path)
