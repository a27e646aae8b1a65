"""Ledgers from before a test lost its encoding."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from harness.events.results import RunReport, TestResult
from harness.events.verdict import Verdict
from harness.identity import TestId
from harness.ledger import store, without_encoding
from harness.ledger.gate import Selection, judge
from harness.ledger.model import Entry, Ledger
from harness.ledger.update import update

TODAY = datetime.date(2026, 6, 1)
BEFORE = ("json-disk", "cbor-disk", "bare-disk")
SINCE = {"test_all": BEFORE, "test_once": ("any-disk",)}


def report(variants: dict[str, tuple[str, ...]], **bad: str) -> RunReport:
    """`test_once="fail"`, in each of its variants; what is not named passes."""
    results = [
        TestResult(TestId("alpha", name, variant), Verdict(bad.get(name, "pass")), "why")
        for name, some in variants.items()
        for variant in some
    ]
    return RunReport(results=results)


def entry(kind: str = "fails", **names: Any) -> Entry:
    rate = {"rate": 0.5, "failures": 9, "runs": 20} if kind == "flaky" else {}
    return Entry.model_validate({**names, "class": kind, "reason": "known", "link": "#1", "review_by": "2026-12-31", **rate})


def old(*entries: Entry, variants: tuple[str, ...] = BEFORE, **bad: str) -> Ledger:
    """The ledger that a run passed when both tests ran in all of these variants."""
    found = report(dict.fromkeys(SINCE, variants), **bad)
    counts = found.counts()
    suites = {
        "alpha": {
            "tests": list(SINCE),
            "counts": {
                variant: {"collected": 2, "passed": count.passed, "skipped": count.skipped} for (_, variant), count in counts.items()
            },
        }
    }
    return Ledger.model_validate({"target": "x", "suites": suites, "entries": entries})


def lines(ledger: Ledger, found: RunReport, selection: Selection | None = None) -> list[str]:
    return [str(one) for one in judge(without_encoding.apply(ledger, found)[0], found, selection or Selection(), TODAY)]


def test_the_gate_passes_and_says_so_and_an_update_writes_it():
    found = report(SINCE)
    assert judge(old(), found, Selection(), TODAY), "without following, the gate fails"
    assert lines(old(), found) == []
    ledger, notes = without_encoding.apply(old(), found)
    assert notes == ["alpha: 1 test(s) now run once, for all encodings"]
    written = update(ledger, found, Selection(), TODAY)
    assert (written.suites["alpha"].once, written.suites["alpha"].partly) == (["test_once"], {})
    assert written.suites == ledger.suites
    assert without_encoding.apply(written, found) == (written, [])


def test_a_ledger_of_one_encoding_and_a_gate_of_one_encoding():
    only = {"test_once": ("any-disk",), "test_all": ("json-disk",)}
    selection = Selection(variants=("json-disk", "any-disk"))
    assert lines(old(variants=("json-disk",)), report(only), selection) == []
    assert lines(old(), report(only), selection) == []


def test_a_failure_or_a_lost_test_is_still_found():
    assert lines(old(), report(SINCE, test_once="fail")) == ["new failure: alpha::test_once[any-disk]: fail: why"]
    lost = {"test_once": ("any-disk",)}
    assert lines(old(), report(lost)) == ["vanished: alpha::test_all: the ledger has it, the corpus does not"]


@pytest.mark.parametrize(
    "entries",
    [
        (entry(test="alpha::test_once"),),
        (entry(test="alpha::test_once", variants=list(BEFORE)),),
        tuple(entry(test="alpha::test_once", variants=[one]) for one in BEFORE),
        tuple(entry(match=f"alpha::test_once[{one}]") for one in BEFORE),
        (entry(match="alpha::test_once[*]"),),
        (entry(match="alpha::*once[*-disk]"),),
    ],
)
def test_what_was_excused_in_every_encoding_is(entries):
    found = report(SINCE, test_once="fail")
    assert lines(old(*entries, test_once="fail"), found) == []
    assert lines(old(*entries, test_once="fail"), report(SINCE)) != [], "it passes now: stale"
    assert update(without_encoding.apply(old(*entries, test_once="fail"), found)[0], found, Selection(), TODAY)


@pytest.mark.parametrize(("kind", "bad"), [("unsupported", "skip"), ("blocked", "skip"), ("flaky", "fail"), ("out-of-scope", "fail")])
def test_skips_and_other_classes_keep_their_counts(kind, bad):
    ledger = old(entry(kind, test="alpha::test_once", variants=list(BEFORE)), test_once=bad)
    assert lines(ledger, report(SINCE, test_once=bad)) == []


def test_a_pattern_over_several_tests_stays_for_the_others():
    ledger = old(entry(match="alpha::test_*[json-disk]"))
    found, _ = without_encoding.apply(ledger, report(SINCE))
    assert [one.subject for one in found.entries] == ["alpha::test_*[json-disk]", "alpha::test_once[any-disk]"]


def test_what_was_said_of_an_encoding_that_it_does_not_speak_goes():
    for names in ({"test": "alpha::test_once", "variants": ["bare-disk"]}, {"match": "alpha::test_once[bare-*]"}):
        ledger, _ = without_encoding.apply(old(entry(**names)), report(SINCE))
        assert ledger.entries == []


def test_other_storages_follow_too():
    both = tuple(f"{encoding}-{storage}" for storage in ("disk", "memory") for encoding in ("bare", "json"))
    ledger, _ = without_encoding.apply(old(variants=both), report(SINCE))
    assert sorted(ledger.suites["alpha"].counts) == sorted([*both, "any-disk", "any-memory"])
    assert ledger.suites["alpha"].variants("test_once") == ["any-disk", "any-memory"]


def test_it_survives_the_file(tmp_path):
    ledger, _ = without_encoding.apply(old(), report(SINCE))
    store.save(tmp_path / "x.toml", ledger)
    assert store.load(tmp_path / "x.toml").suites == ledger.suites
