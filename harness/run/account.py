"""The account of a run: what was expected, what was seen, and exactly one verdict for each test that was collected.

Everything that workers say goes through here, and only here is a report made of it. A run that ends green has a reason: every test that the
selection holds was announced by exactly one worker and has exactly one result, every worker ended as its results say, and nobody reported a
problem. Whatever does not add up is a problem of the report by name, which makes the status 2; it is never a verdict that is missing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.events.results import RunReport, TestResult
from harness.events.verdict import Blame, Verdict
from harness.identity import ANY, TestId
from harness.requirements.sets import Standing
from harness.testing.marks import SPOKEN_BY_ANY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.run.lanes.lane import LaneOutcome

FAILING = frozenset({Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE, Verdict.BLOCKED})
"""What makes pytest itself end with status 1; the others are decided above it."""


def close(outcomes: Sequence[LaneOutcome], *, repeated: bool = False, reason: str = "") -> RunReport:
    """The report of the workers of one run.

    Args:
        outcomes: What each worker said.
        repeated: Whether a test may have more than one result, because it was asked for more than once; the worst counts.
        reason: Why the run was ended before its end, if it was.
    """
    report = RunReport()
    report.session = next((event for outcome in outcomes for event in outcome.events if event["event"] == "session"), {})
    problems = [problem for outcome in outcomes for problem in outcome.problems]
    problems += [event["text"] for event in _all(outcomes, "problem")]
    collected, twice = _unique(_all(outcomes, "collected"), repeated=repeated)
    problems += [f"{name} is there twice: {', '.join(sorted(set(places)))}" for name, places in twice.items()]
    results, twice = _unique(_all(outcomes, "result"), repeated=repeated)
    problems += [f"{name} has {len(places)} results" for name, places in twice.items() if name in collected]
    # Kept out of the results: of a test that nobody announced neither the suite's counts nor its requirements are known.
    problems += [f"{name} has a result, but was never collected" for name in results if name not in collected]
    # Loops ask for every test several times, so that sums say nothing there.
    if not repeated:
        problems += _shares(outcomes, sum(1 for _ in _all(outcomes, "collected")))
    for outcome in outcomes:
        problems += _unexplained(outcome)
    fates = _fates(outcomes, reason)
    for name, about in collected.items():
        # By what was collected, never by what has a result: so a test that vanished on the way still has a line of its own.
        report.results.append(_result(name, about, results.get(name) or fates[name]))
    missing = sum(result.verdict is Verdict.NOT_RUN for result in report.results)
    # Workers that were never started announced nothing.
    whole = max([len(collected), *(_selected(event, outcomes) for event in _all(outcomes, "session") if "selected" in event)])
    missing += whole - len(collected) if reason else 0
    # Who asks when everything has its verdict misses nothing.
    if missing or (reason and not collected):
        problems.append(f"{reason or 'not everything was run'}: {missing} of {whole} tests were not run to their end")
    # By id, so that the same run gives the same report whatever the number of workers and whoever was faster.
    report.results.sort(key=lambda result: result.id)
    report.results = _blocked(report.results, {name: about.get("depends", ()) for name, about in collected.items()})
    if not report.results and not problems:
        problems.append("nothing was collected: no test matches the selection")
    # Several workers say the same of one file; the reader wants it once.
    report.problems = list(dict.fromkeys(problems))
    return report


def _all(outcomes: Iterable[LaneOutcome], kind: str) -> Iterable[dict[str, Any]]:
    return (event for outcome in outcomes for event in outcome.events if event["event"] == kind)


def _unique(events: Iterable[dict[str, Any]], *, repeated: bool) -> tuple[dict[str, dict[str, Any]], dict[str, list[str]]]:
    """The events by test, and the tests that have more than one, with where they were found.

    Of several the worst is kept: whatever else is wrong, a failure is never overwritten by a pass.
    """
    found: dict[str, dict[str, Any]] = {}
    places: dict[str, list[str]] = {}
    for event in events:
        name = event["id"]
        places.setdefault(name, []).append(str(event.get("location", "")))
        # The place in the list of verdicts is the order of badness; a good verdict has none, so that two passes stay the first.
        if name not in found or _badness(event) > _badness(found[name]):
            found[name] = event
    return found, {} if repeated else {name: some for name, some in places.items() if len(some) > 1}


def _badness(event: Mapping[str, Any]) -> int:
    verdict = event.get("verdict")
    return list(Verdict).index(Verdict(verdict)) if verdict is not None and not Verdict(verdict).good else -1


def _shares(outcomes: Sequence[LaneOutcome], announced: int) -> list[str]:
    """The shares of the workers must add up to what each of them saw as the whole."""
    wholes = {_selected(event, outcomes) for event in _all(outcomes, "session") if "selected" in event}
    if len(wholes) > 1:
        return [f"the workers do not agree on what is selected: {', '.join(map(str, sorted(wholes)))} tests"]
    # A worker that never began has said why; what it would have run is missing in the sum.
    if wholes and all(outcome.events for outcome in outcomes) and wholes != {announced}:
        return [f"{wholes.pop()} tests are selected, but the workers were given {announced}"]
    return []


def _selected(session: Mapping[str, Any], outcomes: Sequence[LaneOutcome]) -> int:
    """How many tests one worker saw for the lanes of all workers, before it took its own share."""
    lanes = {outcome.lane.lane for outcome in outcomes}
    counts = session["selected"]
    return int(sum(counts.values()) if "all" in lanes else sum(counts[lane] for lane in lanes))


def _unexplained(outcome: LaneOutcome) -> list[str]:
    """Whether pytest's status is what the results say."""
    ends = [event for event in outcome.events if event["event"] == "end"]
    # Such a worker's status is explained already; a second explanation would only hide the first.
    if outcome.problems or outcome.interrupted or not ends:
        return []
    failing = any(event["verdict"] in FAILING for event in outcome.events if event["event"] == "result")
    told = any(event["event"] == "problem" for event in outcome.events)
    if outcome.status == 1 and not failing and not told:
        return [
            f"worker {outcome.lane.label} ended with status 1, but every result is good: something failed that is no test of the corpus"
        ]
    if outcome.status == 0 and failing:
        return [f"worker {outcome.lane.label} ended with status 0, but some of its results are bad"]
    received = Counter(str(event["event"]) for event in outcome.events)
    # The footer speaks of the last life of a worker, and of all of it when it had only one.
    if not outcome.deaths and ends[-1].get("collected", received["collected"]) != received["collected"]:
        return [f"worker {outcome.lane.label} announced {ends[-1]['collected']} tests, of which {received['collected']} arrived"]
    return []


def _fates(outcomes: Sequence[LaneOutcome], reason: str) -> dict[str, dict[str, Any]]:
    """What stands for the result of a test that has none."""
    fates: dict[str, dict[str, Any]] = {}
    for outcome in outcomes:
        began = {event["id"] for event in outcome.events if event["event"] == "started"}
        why = (reason or "the run was interrupted") if outcome.interrupted else f"worker {outcome.lane.label} ended before"
        for event in outcome.events:
            if event["event"] == "collected":
                state = "not finished" if event["id"] in began else "not started"
                # Not overwritten: what a worker that died says of the test in which it did (below) counts more than that it was not run.
                fates.setdefault(event["id"], {"verdict": Verdict.NOT_RUN, "message": f"{state}: {why}"})
        for name, how in outcome.deaths.items():
            fates[name] = {"verdict": Verdict.ERROR, "message": how, "blame": str(Blame.HARNESS)}
    return fates


def _blocked(results: list[TestResult], depends: Mapping[str, Sequence[str]]) -> list[TestResult]:
    """A bad test with a bad prerequisite is blocked by the first cause behind it.

    Every test has run: what is blocked depends on neither the order nor the workers, and a test that passes all the same shows that it does
    not need its prerequisite.
    """
    bad = {str(result.id): result for result in results if not result.verdict.good and result.verdict is not Verdict.NOT_RUN}

    # `seen` ends circles: marks are written by hand, and two suites may name each other.
    def cause(result: TestResult, seen: frozenset[str]) -> str:
        for test in depends.get(str(result.id), ()):
            for name in _variants_of(test, result.id.variant):
                if name in bad and name not in seen:
                    # Through to the first cause: what is blocked three times over needs that one test repaired.
                    return cause(bad[name], seen | {name}) or name
        return ""

    def judged(result: TestResult) -> TestResult:
        root = cause(result, frozenset({str(result.id)})) if str(result.id) in bad else ""
        if not root:
            return result
        reason = f"blocked by {root}; {result.verdict}: {result.message}"
        return replace(result, verdict=Verdict.BLOCKED, blocked_by=root, message=reason)

    return [judged(result) for result in results]


def _variants_of(test: str, variant: str) -> list[str]:
    """The ids under which a prerequisite of a test in this variant may have run; either of them may have no encoding."""
    suite, _, plain = test.partition("::")
    encoding, dash, storage = variant.partition("-")
    encodings = (encoding, SPOKEN_BY_ANY) if encoding == ANY else (encoding, ANY)
    return [str(TestId(suite, plain, f"{one}{dash}{storage}")) for one in encodings] if dash else [test]


def _result(name: str, about: Mapping[str, Any], found: Mapping[str, Any]) -> TestResult:
    return TestResult(
        id=TestId.parse(name),
        verdict=Verdict(found["verdict"]),
        message=found.get("message", ""),
        detail=found.get("detail", ""),
        seconds=found.get("seconds", 0.0),
        attempts=found.get("attempts", 1),
        requirements=tuple(about["requirements"]),
        doc=about["doc"],
        timing=about["timing"],
        witnesses=found.get("witnesses", {}),
        blame=found.get("blame", ""),
        bundle=found.get("bundle", ""),
        stall=found.get("stall", 0.0),
        blocked_by=found.get("blocked_by", ""),
        timeline=tuple(found.get("timeline", ())),
        encoded=found.get("encoded"),
        standing=Standing(about.get("standing", Standing.DECIDES)),
    )
