"""The gate: every way in which a report and a ledger can differ."""

from __future__ import annotations

import dataclasses
import datetime
import json
from pathlib import Path

import pytest

import harness
from harness.errors import UsageError
from harness.identity import TestId
from harness.ledger import store
from harness.ledger.gate import Selection, judge
from harness.ledger.model import Entry, EntryClass, Ledger
from harness.ledger.renames import Renames
from harness.ledger.update import Excuse, diff, prune, update
from harness.run.results import RunReport, TestResult
from harness.verdicts import Verdict

TODAY = datetime.date(2026, 6, 1)
ENTRY = 'target = "x"\n[[entries]]\nmatch = "a::b"\nreason = "r"\n'
VARIANTS = ("json-memory", "cbor-memory")


def report(**verdicts: str) -> RunReport:
    """`alpha__test_a="fail"`: that test in both variants; all other tests of alpha and beta pass."""
    tests = {"alpha__test_a": "pass", "alpha__test_b": "pass", "beta__test_c": "pass"} | verdicts
    results = [
        TestResult(TestId(*name.split("__"), variant), Verdict(verdict), "why")
        for name, verdict in tests.items()
        if verdict != "gone"
        for variant in VARIANTS
    ]
    return RunReport(results=results)


def entry(match: str, kind: str, **fields) -> Entry:
    return Entry.model_validate({"match": match, "class": kind, "reason": "known", "link": "#1", "review_by": "2026-12-31", **fields})


def ledger(*entries: Entry, **verdicts: str) -> Ledger:
    """The ledger that a report with these verdicts passes."""
    base = update(Ledger(target="x"), report(), Selection())
    made = Ledger(target="x", suites=base.suites, entries=list(entries))
    return made if not verdicts else update(made, report(**verdicts), Selection(), Excuse("known", "#1", datetime.date(2026, 12, 31)))


def lines(expected: Ledger, found: RunReport, selection: Selection | None = None) -> list[str]:
    return [str(one) for one in judge(expected, found, selection or Selection(), TODAY) if one.fatal]


def test_what_is_expected_passes():
    assert lines(ledger(), report()) == []


@pytest.mark.parametrize("verdict", ["fail", "error", "inconclusive"])
def test_a_new_failure(verdict):
    assert lines(ledger(), report(alpha__test_a=verdict)) == [
        f"new failure: alpha::test_a[json-memory]: {verdict}: why",
        f"new failure: alpha::test_a[cbor-memory]: {verdict}: why",
    ]


def test_a_pass_on_rerun_is_no_pass():
    assert lines(ledger(), report(beta__test_c="flaky"))[0] == "flaky pass: beta::test_c[json-memory]: why"


def test_an_unlisted_skip():
    assert lines(ledger(), report(beta__test_c="skip"))[0] == "unlisted skip: beta::test_c[json-memory]: why"


def test_a_vanished_test_and_a_vanished_suite():
    assert lines(ledger(), report(alpha__test_b="gone")) == ["vanished: alpha::test_b: the ledger has it, the corpus does not"]
    assert lines(ledger(), report(beta__test_c="gone")) == ["vanished: beta: the whole suite of 1 tests"]


def test_a_test_replaced_by_another_is_noticed_although_the_count_is_right():
    found = judge(ledger(), report(alpha__test_b="gone", alpha__test_new="pass"), Selection(), TODAY)
    assert [str(one.kind) for one in found] == ["vanished", "new test"]


def test_a_test_that_vanished_in_one_variant_is_a_count_below_the_ledger():
    found = report()
    found.results = [one for one in found.results if str(one.id) != "alpha::test_b[cbor-memory]"]
    assert "count below ledger: alpha[cbor-memory]: collected 1, the ledger says 2" in lines(ledger(), found)


def test_a_test_of_one_variant_is_missed_there_and_nowhere_else():
    results = report().results
    only_json = TestId("alpha", "test_json", VARIANTS[0])
    expected = update(Ledger(target="x"), RunReport(results=[*results, TestResult(only_json, Verdict.PASS, "")]), Selection())
    assert expected.suites["alpha"].partly == {"test_json": [VARIANTS[0]]}
    in_cbor = RunReport(results=[result for result in results if result.id.variant == VARIANTS[1]])
    assert lines(expected, in_cbor, Selection(variants=(VARIANTS[1],))) == []
    in_json = RunReport(results=[result for result in results if result.id.variant == VARIANTS[0]])
    assert any("test_json" in line for line in lines(expected, in_json, Selection(variants=(VARIANTS[0],))))
    # What is known of a variant that did not run stays known.
    again = update(expected, in_cbor, Selection(variants=(VARIANTS[1],)))
    assert again.suites == expected.suites


def test_known_failures_pass_the_gate_until_they_pass():
    listed = ledger(alpha__test_a="fail")
    assert [one.match for one in listed.entries] == ["alpha::test_a[*]"]
    assert lines(listed, report(alpha__test_a="fail")) == []
    assert lines(listed, report()) == [
        f"stale entry: alpha::test_a[{variant}]: it passes, but is listed as fails: known" for variant in VARIANTS
    ]


@pytest.mark.parametrize(
    ("kind", "fields", "good", "bad"),
    [
        ("fails", {}, ["fail", "error", "inconclusive"], ["pass", "skip", "flaky"]),
        ("flaky", {"rate": 0.1}, ["pass", "fail", "flaky", "inconclusive"], ["skip", "error"]),
        ("unsupported", {}, ["skip"], ["pass", "fail"]),
        ("blocked", {}, ["skip", "fail"], ["pass"]),
        ("out-of-scope", {}, ["skip", "fail"], ["pass"]),
    ],
)
def test_what_each_class_excuses(kind, fields, good, bad):
    listed = Ledger(target="x", suites={}, entries=[entry("alpha::test_a[*]", kind, **fields)])
    assert all(not lines(listed, report(alpha__test_a=verdict)) for verdict in good)
    assert all(lines(listed, report(alpha__test_a=verdict)) for verdict in bad)


def test_a_flaky_test_may_pass_or_fail_without_a_count_finding():
    listed = ledger(entry("alpha::test_a[*]", "flaky", rate=0.2))
    assert lines(listed, report()) == []
    assert lines(listed, report(alpha__test_a="fail")) == []


def test_entries_that_match_nothing_overlap_or_expired():
    assert lines(ledger(entry("alpha::test_z[*]", "fails")), report()) == [
        "entry matches nothing: alpha::test_z[*]: listed as fails: known"
    ]
    both = ledger(entry("alpha::test_a[*]", "fails"), entry("alpha::*[json-memory]", "flaky", rate=0.1))
    overlap = "overlapping entries: alpha::test_a[json-memory]: 'alpha::test_a[*]' and 'alpha::*[json-memory]'"
    assert overlap in lines(both, report(alpha__test_a="fail"))
    old = ledger(entry("alpha::test_a[*]", "fails", review_by="2026-05-31"))
    assert lines(old, report(alpha__test_a="fail")) == ["expired entry: alpha::test_a[*]: to be reviewed by 2026-05-31: known"]


def test_a_star_is_the_only_special_character():
    assert entry("a::b[*]", "fails").matches("a::b[json-memory]")
    assert not entry("a::b[*]", "fails").matches("a::bj")
    assert not entry("a::b", "fails").matches("a::b[json-memory]")


def test_only_what_was_selected_is_compared():
    listed = ledger(entry("beta::test_c[*]", "fails"), beta__test_c="fail")
    found = report()
    found.results = [one for one in found.results if str(one.id).startswith("alpha") and one.id.variant == "json-memory"]
    assert lines(listed, found, Selection(suites=("alpha",), variants=("json-memory",))) == []
    found.results = found.results[:1]
    assert lines(listed, found, Selection(partial=True)) == []


def test_update_refuses_what_nobody_explained():
    with pytest.raises(UsageError, match=r"these need a reason.*\n  alpha::test_a\[json-memory\]: fail: why"):
        update(ledger(), report(alpha__test_a="fail"), Selection())
    with pytest.raises(UsageError, match="selection of tests"):
        update(ledger(), report(), Selection(partial=True))
    broken = report()
    broken.problems.append("worker died")
    with pytest.raises(UsageError, match="worker died"):
        update(ledger(), broken, Selection())


def test_update_drops_stale_entries_and_keeps_what_did_not_run():
    listed = ledger(alpha__test_a="fail", beta__test_c="skip")
    assert {str(one.kind) for one in listed.entries} == {"fails", "unsupported"}
    found = report()
    found.results = [one for one in found.results if one.id.suite == "alpha"]
    after = update(listed, found, Selection(suites=("alpha",)))
    assert [one.match for one in after.entries] == ["beta::test_c[*]"]
    assert after.suites["beta"] == listed.suites["beta"]
    assert lines(after, report(beta__test_c="skip")) == []
    assert any(line.startswith("-match") for line in diff(listed, after))


def test_ledgers_survive_the_file(tmp_path):
    path = tmp_path / "x.toml"
    made = ledger(entry("alpha::test_a[*]", "flaky", rate=0.25), beta__test_c="fail")
    store.save(path, made)
    assert store.load(path).model_dump() == {
        **made.model_dump(),
        "entries": sorted(made.model_dump()["entries"], key=lambda one: one["match"]),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("target = ", "is not TOML"),
        (
            'target = "x"\n[[entries]]\nmatch = "a::b"\nclass = "fails"\nreason = "r"\nreview_by = 2026-01-01',
            "entries.0.link: Field required",
        ),
        ('target = "x"\n[[entries]]\nmatch = "a"\nclass = "odd"\nreason = "r"\nlink = "l"\nreview_by = 2026-01-01', "entries.0.class"),
        ('target = "x"\n[[entries]]\nmatch = "a"\nclass = "flaky"\nreason = "r"\nlink = "l"\nreview_by = 2026-01-01', "a rate belongs to"),
        ('target = "x"\nsurprise = 1', "surprise: Extra inputs"),
    ],
)
def test_a_malformed_ledger_is_explained(tmp_path, text, message):
    path = tmp_path / "x.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        store.load(path)


def test_a_missing_ledger_is_explained(tmp_path):
    with pytest.raises(UsageError, match=r"no ledger at .*conform baseline init"):
        store.load(tmp_path / "none.toml")


def test_every_entry_needs_reason_link_and_review_date():
    whole = {"match": "a::b", "class": "fails", "reason": "r", "link": "l", "review_by": "2030-01-01"}
    assert Entry.model_validate(whole)
    for name in whole:
        with pytest.raises(ValueError, match=name):
            Entry.model_validate({key: value for key, value in whole.items() if key != name})
    for name in ("reason", "link"):
        with pytest.raises(ValueError, match=name):
            Entry.model_validate({**whole, name: ""})


def test_the_schema_of_ledgers_is_the_models():
    schema = json.loads((Path(str(harness.__file__)).parent / "ledger.schema.json").read_text())
    assert schema == Ledger.model_json_schema(by_alias=True)


def test_pruning_drops_what_excuses_nothing_and_changes_nothing_else():
    listed = ledger(entry("alpha::test_a[*]", "fails"), entry("beta::test_c[json-memory]", "fails"), entry("gone::test_x", "fails"))
    pruned = prune(listed, report(beta__test_c="fail"), Selection())
    assert [one.match for one in pruned.entries] == ["beta::test_c[json-memory]"]
    assert pruned.suites == listed.suites


def test_a_flaky_entry_needs_a_rate():
    excuse = Excuse("r", "l", datetime.date(2030, 1, 1), EntryClass.FLAKY)
    with pytest.raises(UsageError, match="--rate"):
        update(Ledger(target="x"), report(alpha__test_a="fail"), Selection(), excuse)
    made = update(Ledger(target="x"), report(alpha__test_a="fail"), Selection(), dataclasses.replace(excuse, rate=0.2))
    assert made.entries[0].rate == 0.2


def test_renames_are_followed_through_tests_suites_and_entries():
    known = Renames({"alpha::test_a": "alpha::test_first", "alpha::*": "omega::*", "omega::test_b": "omega::test_second"})
    today, notes = known.apply(ledger(entry("alpha::test_a[*]", "fails"), entry("alpha::test_b[json-memory]", "fails")))
    assert sorted(today.suites) == ["beta", "omega"]
    assert sorted(today.suites["omega"].tests) == ["test_first", "test_second"]
    assert [one.match for one in today.entries] == ["omega::test_first[*]", "omega::test_second[json-memory]"]
    assert notes == ["alpha::test_a is now omega::test_first", "alpha::test_b is now omega::test_second"]


@pytest.mark.parametrize(
    "known", [{"a::b": "a::c", "a::c": "a::b"}, {"a::*": "a::b"}, {"a::*": "b::*", "b::*": "a::*"}], ids=["circle", "kind", "suites"]
)
def test_impossible_renames_are_refused(known):
    with pytest.raises(UsageError, match="rename"):
        Renames(known)
