"""A flaky entry is a claim about a rate: it has to be measured, and every gate holds it against what it sees."""

from __future__ import annotations

import datetime
import math
import random

import pytest

from harness.cli import flakes
from harness.errors import UsageError
from harness.events.results import RunReport, TestResult
from harness.events.verdict import Verdict
from harness.flake import loops, recheck
from harness.flake.sequential import Decision
from harness.identity import TestId
from harness.ledger import history, store
from harness.ledger.excuse import Excuse, claim
from harness.ledger.flaky import Claim, claims, flaws
from harness.ledger.gate import Kind, Selection, judge
from harness.ledger.history import Source
from harness.ledger.measure import flaky_tests, remeasured
from harness.ledger.model import Entry, EntryClass, ExpectedCounts, ExpectedSuite, Ledger
from harness.ledger.rates import MOST_RATE, clearly_above, contradictions, rate_of
from harness.ledger.update import prune
from harness.run.request import RunRequest
from tests.harness.synthetic import Workers

TODAY = datetime.date(2026, 6, 1)
RACE = TestId("alpha", "test_race", "json-memory")
HEAD = 'version = 3\ntarget = "x"\n[[entries]]\nclass = "flaky"\nreason = "r"\nlink = "l"\nreview_by = 2026-12-31\n'


def entry(test: str = "alpha::test_race", rate: float = 0.3, failures: int | None = 4, runs: int | None = 30, **more) -> Entry:
    fields = {"test": test, "class": "flaky", "rate": rate, "failures": failures, "runs": runs, "reason": "r", "link": "l"}
    return Entry.model_validate({**fields, "review_by": "2026-12-31", **more})


def ledger(*entries: Entry, tests=("test_race", "test_solid"), variants=("json-memory",)) -> Ledger:
    counts = {variant: ExpectedCounts(collected=len(tests), passed=len(tests), skipped=0) for variant in variants}
    return Ledger(target="x", suites={"alpha": ExpectedSuite(tests=list(tests), counts=counts)}, entries=list(entries))


def report(verdict: str, attempts: int = 1) -> RunReport:
    results = [
        TestResult(RACE, Verdict(verdict), "lost", attempts=attempts),
        TestResult(TestId("alpha", "test_solid", "json-memory"), Verdict.PASS),
    ]
    return RunReport(results=results)


# What a ledger may say.


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('test = "a::b"\nrate = 0.1\nfailures = 1\nruns = 1', "1 failures in 1 runs: a flaky test was seen to fail and to pass"),
        ('test = "a::b"\nrate = 0.1\nfailures = 0\nruns = 50', "was seen to fail and to pass"),
        ('test = "a::b"\nrate = 0.6\nfailures = 12\nruns = 20', "above 0.5: the test is broken rather than flaky"),
        ('test = "a::b"\nrate = 0.0001\nfailures = 5\nruns = 20', "5 failures in 20 runs contradict a rate of 0.0001: it is at least"),
        ('test = "a::b"\nrate = 0.5\nfailures = 1\nruns = 100', "nobody measured a rate of 0.5: 1 failures in 100 runs are at most 0.06"),
        ('test = "a::b"\nrate = 0.5\nfailures = 1\nruns = 2', "too few to tell a rate of 0.5 from one of 0.75"),
        ('match = "a::*"\nrate = 0.3\nfailures = 4\nruns = 30', "names one test"),
        ('test = "a::b"\nrate = 0.3\nfailures = 4', "failures and runs belong together"),
        ('test = "a::b"\nrate = 0.3\nfailures = 40\nruns = 30', "was seen to fail and to pass"),
    ],
)
def test_the_reader_refuses_rates_that_no_measurement_supports(tmp_path, text, said):
    path = tmp_path / "x.toml"
    path.write_text(HEAD + text)
    with pytest.raises(UsageError, match=r"is not a ledger: entries\.0: ") as raised:
        store.load(path)
    assert said in str(raised.value)


def test_a_measured_entry_survives_the_file(tmp_path):
    store.save(tmp_path / "x.toml", ledger(entry()))
    assert store.load(tmp_path / "x.toml").entries == [entry()]
    assert not list(flaws(entry()))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('match = "alpha::*[*]"\nrate = 0.95', ["a pattern has no rate of its own", "nobody measured the rate of 0.95"]),
        ('test = "alpha::test_race"\nrate = 0.0001', ["nobody measured the rate of 0.0001"]),
    ],
)
def test_older_entries_are_read_and_pass_no_gate(tmp_path, text, said):
    path = tmp_path / "x.toml"
    path.write_text(HEAD.replace("version = 3", "version = 2") + text)
    old = store.load(path)
    found = [one for one in judge(ledger(*old.entries), report("fail"), Selection(), TODAY) if one.kind is Kind.UNFOUNDED]
    assert [sentence in str(one) for one, sentence in zip(found, said, strict=True)] == [True] * len(said)
    assert all("conform baseline measure" in str(one) and one.fatal for one in found)
    assert claims(ledger(*old.entries), [RACE]) == {}


@pytest.mark.parametrize(("date", "far"), [("2027-06-01", False), ("2027-06-02", False), ("2027-06-03", True), ("9999-12-31", True)])
def test_a_review_is_at_most_a_year_away(date, far):
    listed = ledger(entry(review_by=date))
    assert any(one.kind is Kind.FAR and one.fatal for one in judge(listed, report("pass"), Selection(), TODAY)) is far


@pytest.mark.parametrize(("failures", "runs", "rate"), [(1, 20, 0.217), (4, 30, 0.28), (9, 20, 0.5)])
def test_the_stated_rate_is_the_upper_bound_of_what_was_measured(failures, runs, rate):
    assert rate_of(failures, runs) == rate
    assert not list(contradictions(rate, failures, runs))


@pytest.mark.parametrize("counts", [(0, 0), (0, 30), (30, 30), (1, 2), (2, 3)])
def test_measurements_that_support_no_rate(counts):
    with pytest.raises(UsageError, match="alpha::test_race"):
        claim("alpha::test_race", counts)


def test_every_rate_that_is_derived_is_one_that_the_reader_takes():
    for runs in (2, 3, 7, 8, 20, 45):
        for failures in range(1, runs):
            try:
                rate = rate_of(failures, runs)
            except ValueError:
                continue
            assert rate <= MOST_RATE
            assert entry(rate=rate, failures=failures, runs=runs)


def test_an_excuse_takes_what_was_measured_and_nothing_else():
    measured = {RACE: (3, 30), TestId("alpha", "test_race", "cbor-memory"): (1, 30)}
    excuse = Excuse("r", "l", TODAY, EntryClass.FLAKY, measured)
    made = excuse.entry("alpha::test_race", EntryClass.FLAKY)
    assert (made.failures, made.runs, made.rate) == (4, 60, rate_of(4, 60))
    one = excuse.entry("alpha::test_race", EntryClass.FLAKY, ["json-memory"])
    assert (one.failures, one.runs) == (3, 30)
    with pytest.raises(UsageError, match="nobody measured how often it fails; first: conform flake --only 'alpha::test_solid' --record"):
        excuse.entry("alpha::test_solid", EntryClass.FLAKY)


# What mostly fails.

MOSTLY = {"class": "fails", "rate": rate_of(2, 30), "failures": 28, "runs": 30}


def test_what_fails_more_often_than_it_passes_states_how_often_it_passes():
    assert claim("alpha::test_race", (28, 30)) == MOSTLY
    assert claim("alpha::test_race", (15, 30))["class"] == "flaky"
    made = entry(**MOSTLY)
    assert (made.rare(28, 30), made.rare_outcome) == (2, "passes")
    for wrong in ({"failures": 2}, {"rate": 0.0001}, {"rate": 0.6, "failures": 12}, {"failures": 30}):
        with pytest.raises(ValueError, match=r"entry 'alpha::test_race': .*(passes|broken)"):
            entry(**{**MOSTLY, **wrong})


def test_a_rate_belongs_to_what_can_end_in_two_ways():
    with pytest.raises(ValueError, match="a rate belongs to"):
        entry(**{**MOSTLY, "class": "blocked"})
    with pytest.raises(ValueError, match="needs a rate"):
        Entry.model_validate({"test": "a::b", "class": "flaky", "reason": "r", "link": "l", "review_by": "2026-12-31"})


def test_a_gate_decides_about_passes_as_it_does_about_failures():
    (claimed,) = claims(ledger(entry(**MOSTLY)), [RACE]).values()
    turned = Claim(RACE, claimed.rate, claimed.error)
    for passes in range(31):
        assert claimed.decide(30 - passes, 30) is turned.decide(passes, 30)
    assert {claimed.decide(30 - passes, 30) for passes in (0, 25)} == {Decision.BELOW, Decision.ABOVE}


# What a gate decides.


def outcomes(claimed: Claim, rate: float, most: int = recheck.MOST_LOOPS) -> dict[Decision, float]:
    """The exact chances of each decision about a test that has just failed, run again until it is decided."""
    alive, stated = {1: 1.0}, dict.fromkeys(Decision, 0.0)
    for runs in range(2, most + 2):
        reached: dict[int, float] = {}
        for failures, chance in alive.items():
            reached[failures] = reached.get(failures, 0.0) + chance * (1 - rate)
            reached[failures + 1] = reached.get(failures + 1, 0.0) + chance * rate
        alive = {}
        for failures, chance in reached.items():
            if chance > 1e-12:
                decision = claimed.decide(failures, runs)
                if decision is Decision.OPEN:
                    alive[failures] = chance
                else:
                    stated[decision] += chance
    stated[Decision.OPEN] = sum(alive.values())
    return stated


@pytest.mark.parametrize("tests", [1, 50])
@pytest.mark.parametrize("rate", [0.01, 0.1, 0.3, 0.5])
def test_gates_err_as_rarely_as_they_say_and_end(rate, tests):
    claimed = Claim(RACE, rate, 0.01 / 2 / tests)
    honest = outcomes(claimed, rate)
    # The decision is only asked for after a failure, which itself has the chance of the rate.
    assert rate * honest[Decision.ABOVE] < claimed.error
    assert honest[Decision.OPEN] < 0.001
    assert honest[Decision.BELOW] > 0.9
    assert outcomes(claimed, clearly_above(rate))[Decision.BELOW] < claimed.error
    assert outcomes(claimed, 0.999)[Decision.ABOVE] > 0.99


@pytest.mark.parametrize("rate", [0.0001, 0.1, 0.5])
def test_a_test_that_always_fails_is_no_flake_of_any_rate(rate):
    claimed = Claim(RACE, rate, 0.005 / 20)
    needed = next(runs for runs in range(1, 100) if claimed.decide(runs, runs) is not Decision.OPEN)
    assert claimed.decide(needed, needed) is Decision.ABOVE
    assert needed <= 14


def test_the_error_is_shared_out_over_all_flaky_tests_in_all_their_variants():
    listed = ledger(entry(), entry("alpha::test_solid", variants=["json-memory"]), variants=("json-memory", "cbor-memory"))
    (claimed,) = claims(listed, [RACE]).values()
    assert claimed == Claim(RACE, 0.3, 0.01 / 2 / 3)


# The gate itself: what it runs again, writes down and says.


@pytest.fixture
def gate(monkeypatch, tmp_path):
    """Settle one report on synthetic workers: what is found, by kind and text."""

    def settle(rates, found=None, files=(), listed=None, **workers):
        made = Workers(rates, **workers)
        monkeypatch.setattr(loops, "run_lanes", made)

        async def collect(_):
            names = [f"alpha::{name}[json-memory]" for name in rates]
            depends = {f"alpha::{name}[json-memory]": [f"alpha::{other}"] for name, other in made.depends.items()}
            return [{"event": "collected", "id": name, "depends": depends.get(name, [])} for name in names]

        monkeypatch.setattr(recheck, "collect", collect)
        request = None if files else RunRequest(corpus=tmp_path)
        said = flakes.settle(listed or ledger(entry()), tmp_path / "x.toml", found or report("fail"), request, list(files))
        return said, made

    return settle


def past(tmp_path):
    return [(one.test, str(one.kind), one.failures, one.runs) for one in history.read(tmp_path / "x.history.ndjson")]


def test_a_failing_flaky_test_is_run_again_until_its_rate_is_clear(gate, tmp_path):
    (found,), workers = gate({"test_race": 0.1, "test_solid": 0.0})
    assert found.kind is Kind.FLAKE
    assert not found.fatal
    (line,) = past(tmp_path)
    assert line[:2] == ("alpha::test_race[json-memory]", "gate")
    assert f"{line[2]} failures in {line[3]} runs; its rate of 0.3 allows that" in str(found)
    assert line[3] > 10
    # Nothing else was run, and no longer than needed.
    assert set(workers.selections) == {("alpha::test_race[json-memory]",)}


def test_a_flaky_test_that_always_fails_fails_the_gate(gate, tmp_path):
    (found,), _ = gate({"test_race": 1.0})
    assert found.kind is Kind.CONTRADICTED
    assert found.fatal
    assert "are more than the rate of 0.3 explains" in str(found)
    ((_, _, failures, runs),) = past(tmp_path)
    assert failures == runs < 12


def test_a_pass_of_what_mostly_fails_is_run_again_until_its_rate_is_clear(gate, tmp_path):
    listed = ledger(entry(**MOSTLY))
    (found,), workers = gate({"test_race": 0.95}, report("pass"), listed=listed)
    assert (found.kind, found.fatal) == (Kind.FLAKE, False)
    assert set(workers.selections) == {("alpha::test_race[json-memory]",)}
    ((_, _, failures, runs),) = past(tmp_path)
    assert f"{runs - failures} passes in {runs} runs; its rate of {MOSTLY['rate']} allows that" in str(found)


def test_what_mostly_failed_and_always_passes_now_fails_the_gate(gate):
    (found,), _ = gate({"test_race": 0.0}, report("pass"), listed=ledger(entry(**MOSTLY)))
    assert (found.kind, found.fatal) == (Kind.CONTRADICTED, True)
    assert "passes in" in str(found)
    # Its failures are what is expected: nothing is run for them.
    said, workers = gate({"test_race": 0.0}, report("fail"), listed=ledger(entry(**MOSTLY)))
    assert (said, workers.selections) == ([], [])


@pytest.mark.parametrize("verdict", ["pass", "fail", "inconclusive", "error"])
def test_the_comparison_itself_has_nothing_to_say_of_what_mostly_fails(verdict):
    found = judge(ledger(entry(**MOSTLY)), report(verdict), Selection(), TODAY)
    assert [one for one in found if one.fatal] == []


def test_an_update_keeps_what_mostly_fails_when_it_passes_once():
    before = ledger(entry(**MOSTLY))
    after = prune(before, report("pass"), Selection())
    assert after.entries == before.entries


def test_what_does_not_become_clear_fails_the_gate(gate, monkeypatch):
    monkeypatch.setattr(recheck, "MOST_LOOPS", 2)
    (found,), _ = gate({"test_race": 0.0})
    assert found.kind is Kind.UNDECIDED
    assert found.fatal


def test_a_passing_flaky_test_is_not_run_again_and_counts(gate, tmp_path):
    said, workers = gate({"test_race": 1.0}, report("pass"))
    assert said == []
    assert workers.selections == []
    gate({"test_race": 1.0}, report("flaky", attempts=3))
    assert past(tmp_path) == [("alpha::test_race[json-memory]", "gate", 0, 1), ("alpha::test_race[json-memory]", "gate", 2, 3)]


@pytest.mark.parametrize("verdict", ["skip", "blocked", "not-run"])
def test_what_did_not_run_on_its_own_account_counts_for_nobody(gate, tmp_path, verdict):
    assert gate({"test_race": 1.0}, report(verdict))[0] == []
    assert past(tmp_path) == []


def test_prerequisites_are_run_with_it_so_that_their_failures_do_not_count(gate, tmp_path):
    said, workers = gate({"test_race": 0.0, "test_solid": 0.5}, depends={"test_race": "test_solid"}, seed=1)
    assert workers.selections[0] == ("alpha::test_race[json-memory]", "alpha::test_solid[json-memory]")
    assert [one.kind for one in said] == [Kind.FLAKE]
    assert [line[0] for line in past(tmp_path)] == ["alpha::test_race[json-memory]"]


def test_imported_reports_add_up_until_they_contradict_and_none_counts_twice(gate, tmp_path):
    kinds = []
    for number in range(20):
        file = tmp_path / f"{number}.xml"
        file.write_text(f"<testsuites time='{number}'/>")
        for _ in range(3):
            said, workers = gate({"test_race": 1.0}, files=[file])
        assert workers.selections == []
        kinds.append(said[0].kind)
    assert len(past(tmp_path)) == 20
    turn = kinds.index(Kind.CONTRADICTED)
    assert kinds == [Kind.FLAKE] * turn + [Kind.CONTRADICTED] * (20 - turn)
    # 0.3 ** 5 is a quarter of a percent: five failures in a row are not enough for one percent, with a share for later beginnings ten are.
    assert 4 < turn < 10
    # A report in company of another one is still the same.
    gate({"test_race": 1.0}, files=[tmp_path / "0.xml", tmp_path / "1.xml"])
    assert len(past(tmp_path)) == 20


def test_one_failure_in_an_imported_report_proves_nothing(gate, tmp_path):
    (tmp_path / "a.xml").write_text("<testsuites/>")
    (found,), _ = gate({"test_race": 1.0}, files=[tmp_path / "a.xml"])
    assert str(found) == "known flake: alpha::test_race[json-memory]: 1 failures in 1 runs of 1 gates do not contradict the rate of 0.3"
    (tmp_path / "b.xml").write_text("<testsuites />")
    said, _ = gate({"test_race": 1.0}, files=[tmp_path / "b.xml"], listed=ledger(entry(rate=0.049, failures=1, runs=96)))
    assert [one.kind for one in said] == [Kind.FLAKE]


def test_a_drift_that_no_single_gate_shows_is_seen_in_the_history(tmp_path):
    claimed, draw = Claim(RACE, 0.1, 0.005), random.Random(2)
    calm = [(int(draw.random() < 0.1), 1) for _ in range(300)]
    assert not claimed.contradicted_by(calm)
    worse = [(int(draw.random() < 0.5), 1) for _ in range(100)]
    assert claimed.contradicted_by([*calm, *worse])


def test_honest_histories_are_rarely_contradicted():
    claimed, draw = Claim(RACE, 0.2, 0.05), random.Random(5)
    wrong = 0
    for _ in range(300):
        blocks = [(sum(draw.random() < 0.2 for _ in range(2)), 2) for _ in range(30)]
        wrong += any(claimed.contradicted_by(blocks[:length]) for length in (5, 10, 15, 20, 25, 30))
    assert wrong / 300 < 0.05


def test_a_history_begins_anew_with_a_measurement():
    def line(kind: Source, failures: int, runs: int) -> history.Line:
        return history.line(RACE, kind, (failures, runs), ["run:1"])

    lines = [line(Source.MEASURED, 2, 20), line(Source.MEASURED, 1, 20), line(Source.GATE, 1, 1), line(Source.IMPORT, 0, 1)]
    assert history.since_measured(lines, RACE) == [(1, 1), (0, 1)]
    assert history.measured(lines) == {RACE: (3, 40)}
    assert history.measured([*lines, line(Source.MEASURED, 5, 30)]) == {RACE: (5, 30)}
    assert history.since_measured([*lines, line(Source.MEASURED, 5, 30)], RACE) == []


@pytest.mark.parametrize(
    "text",
    ["{", '{"version": 2}', '{"version":1,"test":"a::b","kind":"gate","failures":2,"runs":1,"at":"2026-01-01T00:00:00Z","sources":["x"]}'],
)
def test_a_history_that_is_none_is_refused_by_line(tmp_path, text):
    path = tmp_path / "x.history.ndjson"
    history.append(path, [history.line(RACE, Source.GATE, (0, 1), ["x"])])
    with path.open("a") as file:
        file.write(text + "\n")
    with pytest.raises(UsageError, match=r"x.history.ndjson, line 2 is no line of a history"):
        history.read(path)


# Measuring, which is how older ledgers are brought up to date.


def test_measuring_makes_one_entry_per_test_of_a_pattern():
    old = Entry.model_validate(
        {"match": "alpha::*[*]", "class": "flaky", "rate": 0.95, "reason": "r", "link": "l", "review_by": "2026-12-31"}
    )
    names = ("test_always", "test_mostly", "test_never", "test_race")
    before = ledger(old, tests=names)
    assert [one.name for one in flaky_tests(before)] == list(names)
    seen = dict(zip(names, [(30, 30), (28, 30), (0, 30), (4, 30)], strict=True))
    after, notes = remeasured(before, {TestId("alpha", name, "json-memory"): counts for name, counts in seen.items()})
    assert [(one.test, str(one.kind), one.rate, one.failures, one.runs) for one in after.entries] == [
        ("alpha::test_always", "fails", None, None, None),
        ("alpha::test_mostly", "fails", rate_of(2, 30), 28, 30),
        ("alpha::test_race", "flaky", rate_of(4, 30), 4, 30),
    ]
    assert len(notes) == 2
    assert all(one.reason == "r" for one in after.entries)


def test_variants_that_fail_differently_get_entries_of_their_own():
    variants = ("cbor-memory", "json-memory")
    before = ledger(entry(), variants=variants)
    alike, _ = remeasured(before, {RACE: (4, 30), TestId("alpha", "test_race", "cbor-memory"): (3, 30)})
    assert [(one.variants, one.failures, one.runs) for one in alike.entries] == [(None, 7, 60)]
    apart, notes = remeasured(before, {RACE: (12, 30), TestId("alpha", "test_race", "cbor-memory"): (0, 30)})
    assert [(one.variants, one.failures, one.runs) for one in apart.entries] == [(["json-memory"], 12, 30)]
    assert notes == ["alpha::test_race[cbor-memory]: never failed in 30 runs, so it is not listed any more"]
    half, _ = remeasured(before, {RACE: (4, 30)})
    assert [(one.variants, one.failures) for one in half.entries] == [(["json-memory"], 4), (["cbor-memory"], 4)]
    assert math.isclose(half.entries[1].rate or 0, 0.3)
