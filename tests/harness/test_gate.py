"""The gate: every way in which a report and a ledger can differ."""

from __future__ import annotations

import datetime
import json
import re
import time
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import harness
from harness.errors import UsageError
from harness.events.results import RunReport, TestResult
from harness.events.verdict import Verdict
from harness.identity import TestId
from harness.ledger import store
from harness.ledger.excuse import Excuse
from harness.ledger.gate import Kind, Selection, judge
from harness.ledger.lookup import Lookup
from harness.ledger.model import Entry, Ledger
from harness.ledger.rates import rate_of
from harness.ledger.renames import Renames
from harness.ledger.update import diff, merge, prune, update

TODAY = datetime.date(2026, 6, 1)
ENTRY = 'target = "x"\n[[entries]]\nmatch = "a::b"\nreason = "r"\n'
VARIANTS = ("json-memory", "cbor-memory")
WHOLE = {"class": "fails", "reason": "r", "link": "l", "review_by": "2030-01-01"}


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


MEASURED = {TestId("alpha", "test_a", variant): (2, 25) for variant in VARIANTS}


def flaky(test: str) -> Entry:
    about = {"test": test, "class": "flaky", "rate": 0.2, "failures": 3, "runs": 30}
    return Entry.model_validate({**about, "reason": "known", "link": "#1", "review_by": "2026-12-31"})


def ledger(*entries: Entry, **verdicts: str) -> Ledger:
    """The ledger that a report with these verdicts passes."""
    base = update(Ledger(target="x"), report(), Selection(), TODAY)
    made = Ledger(target="x", suites=base.suites, entries=list(entries))
    return (
        made if not verdicts else update(made, report(**verdicts), Selection(), TODAY, Excuse("known", "#1", datetime.date(2026, 12, 31)))
    )


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


def test_a_test_that_vanished_in_one_variant_is_named_even_when_a_new_one_makes_up_for_it():
    found = report()
    found.results = [one for one in found.results if str(one.id) != "alpha::test_b[cbor-memory]"]
    said = ["vanished: alpha::test_b[cbor-memory]: the ledger has it in this variant, the corpus does not"]
    assert lines(ledger(), found) == said
    found.results.append(TestResult(TestId("alpha", "test_c", "cbor-memory"), Verdict.PASS))
    assert lines(ledger(), found) == said


def test_a_test_in_a_new_variant_is_new():
    found = report()
    found.results.append(TestResult(TestId("alpha", "test_b", "bare-memory"), Verdict.PASS))
    assert [str(one) for one in judge(ledger(), found, Selection(), TODAY)] == [
        "new test: alpha::test_b[bare-memory]: not in the ledger yet"
    ]


def test_a_test_of_one_variant_is_missed_there_and_nowhere_else():
    results = report().results
    only_json = TestId("alpha", "test_json", VARIANTS[0])
    expected = update(Ledger(target="x"), RunReport(results=[*results, TestResult(only_json, Verdict.PASS, "")]), Selection(), TODAY)
    assert expected.suites["alpha"].partly == {"test_json": [VARIANTS[0]]}
    in_cbor = RunReport(results=[result for result in results if result.id.variant == VARIANTS[1]])
    assert lines(expected, in_cbor, Selection(variants=(VARIANTS[1],))) == []
    in_json = RunReport(results=[result for result in results if result.id.variant == VARIANTS[0]])
    assert any("test_json" in line for line in lines(expected, in_json, Selection(variants=(VARIANTS[0],))))
    # What is known of a variant that did not run stays known.
    again = update(expected, in_cbor, Selection(variants=(VARIANTS[1],)), TODAY)
    assert again.suites == expected.suites


def test_known_failures_pass_the_gate_until_they_pass():
    listed = ledger(alpha__test_a="fail")
    assert [(one.test, one.variants) for one in listed.entries] == [("alpha::test_a", None)]
    assert lines(listed, report(alpha__test_a="fail")) == []
    assert lines(listed, report()) == [
        f"stale entry: alpha::test_a[{variant}]: it passes, but is listed as fails: known" for variant in VARIANTS
    ]


@pytest.mark.parametrize(
    ("kind", "fields", "good", "bad"),
    [
        ("fails", {}, ["fail", "error", "inconclusive"], ["pass", "skip", "flaky"]),
        ("unsupported", {}, ["skip"], ["pass", "fail"]),
        ("blocked", {}, ["skip", "fail"], ["pass"]),
        ("out-of-scope", {}, ["skip", "fail"], ["pass"]),
    ],
)
def test_what_each_class_excuses(kind, fields, good, bad):
    listed = Ledger(target="x", suites={}, entries=[entry("alpha::test_a[*]", kind, **fields)])
    assert all(not lines(listed, report(alpha__test_a=verdict)) for verdict in good)
    assert all(lines(listed, report(alpha__test_a=verdict)) for verdict in bad)


def test_what_class_flaky_leaves_to_further_runs_to_decide():
    listed = ledger(flaky("alpha::test_a"))
    assert all(not lines(listed, report(alpha__test_a=verdict)) for verdict in ("pass", "fail", "flaky", "inconclusive"))
    assert all(lines(listed, report(alpha__test_a=verdict)) for verdict in ("skip", "error"))


def test_entries_that_match_nothing_overlap_or_expired():
    assert lines(ledger(entry("alpha::test_z[*]", "fails")), report()) == [
        "entry matches nothing: alpha::test_z[*]: listed as fails: known"
    ]
    both = ledger(entry("alpha::test_a[*]", "fails"), entry("alpha::*[json-memory]", "out-of-scope"))
    overlap = "overlapping entries: alpha::test_a[json-memory]: 'alpha::test_a[*]' and 'alpha::*[json-memory]'"
    assert overlap in lines(both, report(alpha__test_a="fail"))
    old = ledger(entry("alpha::test_a[*]", "fails", review_by="2026-05-31"))
    assert lines(old, report(alpha__test_a="fail")) == ["expired entry: alpha::test_a[*]: to be reviewed by 2026-05-31: known"]


def test_a_star_is_the_only_special_character():
    assert entry("a::b[*]", "fails").matches(TestId("a", "b", "json-memory"))
    assert not entry("a::b[*]", "fails").matches(TestId("a", "bj"))
    assert not entry("a::b", "fails").matches(TestId("a", "b", "json-memory"))


@given(parts=st.lists(st.text("ab*[", max_size=3), min_size=1, max_size=5), text=st.text("ab[", max_size=12))
def test_patterns_match_as_the_regular_expression_of_their_parts(parts, text):
    pattern = "*".join(parts)
    expected = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), f"s::x{text}") is not None
    identity = TestId("s", f"x{text}")
    assert entry(pattern, "fails").matches(identity) == expected
    assert (Lookup([entry(pattern, "fails")]).of(identity) != []) == expected


def test_an_entry_of_a_test_is_literal():
    literal = Entry.model_validate({**WHOLE, "test": "a::b * [c]"})
    assert literal.matches(TestId("a", "b * [c]", "json-memory"))
    assert literal.matches(TestId("a", "b * [c]"))
    assert not literal.matches(TestId("a", "b 2 [c]"))
    one = Entry.model_validate({**WHOLE, "test": "a::b", "variants": ["json-memory", "-"]})
    assert one.matches(TestId("a", "b", "json-memory"))
    assert one.matches(TestId("a", "b"))
    assert not one.matches(TestId("a", "b", "cbor-memory"))
    assert one.subject == "a::b[json-memory, -]"


@pytest.mark.parametrize("fields", [{}, {"test": "a::b", "match": "a::b"}, {"match": "a::b", "variants": ["x"]}])
def test_an_entry_names_tests_in_one_way(fields):
    with pytest.raises(ValueError, match="entry"):
        Entry.model_validate({**WHOLE, **fields})


def test_only_what_was_selected_is_compared():
    listed = ledger(entry("beta::test_c[*]", "fails"), beta__test_c="fail")
    found = report()
    found.results = [one for one in found.results if str(one.id).startswith("alpha") and one.id.variant == "json-memory"]
    assert lines(listed, found, Selection(suites=("alpha",), variants=("json-memory",))) == []
    found.results = found.results[:1]
    assert lines(listed, found, Selection(partial=True)) == []


def test_update_refuses_what_nobody_explained():
    with pytest.raises(UsageError, match=r"these need a reason.*\n  alpha::test_a\[json-memory\]: fail: why"):
        update(ledger(), report(alpha__test_a="fail"), Selection(), TODAY)
    with pytest.raises(UsageError, match="selection of tests"):
        update(ledger(), report(), Selection(partial=True), TODAY)
    with pytest.raises(UsageError, match="not complete"):
        update(ledger(), report(alpha__test_a="not-run"), Selection(), TODAY)
    broken = report()
    broken.problems.append("worker died")
    with pytest.raises(UsageError, match="worker died"):
        update(ledger(), broken, Selection(), TODAY)


def test_update_drops_stale_entries_and_keeps_what_did_not_run():
    listed = ledger(alpha__test_a="fail", beta__test_c="skip")
    assert {str(one.kind) for one in listed.entries} == {"fails", "unsupported"}
    found = report()
    found.results = [one for one in found.results if one.id.suite == "alpha"]
    after = update(listed, found, Selection(suites=("alpha",)), TODAY)
    assert [one.subject for one in after.entries] == ["beta::test_c"]
    assert after.suites["beta"] == listed.suites["beta"]
    assert lines(after, report(beta__test_c="skip")) == []
    assert any(line.startswith("-test") for line in diff(listed, after))


def test_ledgers_survive_the_file(tmp_path):
    path = tmp_path / "x.toml"
    made = ledger(flaky("alpha::test_a"), beta__test_c="fail")
    store.save(path, made)
    assert store.load(path).model_dump() == {
        **made.model_dump(),
        "entries": sorted(made.model_dump()["entries"], key=lambda one: one["test"] or one["match"]),
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
        (
            'target = "x"\n[[entries]]\nmatch = "a"\nclass = "flaky"\nreason = "r"\nlink = "l"\nreview_by = 2026-01-01',
            "class flaky needs a rate",
        ),
        ('target = "x"\nsurprise = 1', "surprise: Extra inputs"),
        ('version = 4\ntarget = "x"', "is a ledger of version 4; this reads versions 1 and 2 and 3"),
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
    whole = {**WHOLE, "test": "a::b"}
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
    assert prune(pruned, report(beta__test_c="gone"), Selection()) == pruned, "that a test vanished is no reason to forget its entry"


def test_a_vanished_test_or_suite_needs_a_reason_of_its_own():
    listed = ledger(entry("alpha::test_b[*]", "fails"), alpha__test_b="fail")
    excuse = Excuse("known", "#1", datetime.date(2026, 12, 31))
    with pytest.raises(UsageError, match=r"these vanished.*--gone.*\n  alpha::test_b: .*\n  beta: the whole suite"):
        update(listed, report(alpha__test_b="gone", beta__test_c="gone"), Selection(), TODAY, excuse)
    after = update(listed, report(alpha__test_b="gone", beta__test_c="gone"), Selection(), TODAY, gone="split into others")
    assert [(one.what, one.reason, one.on) for one in after.removed] == [
        ("alpha::test_b", "split into others", TODAY),
        ("beta", "split into others", TODAY),
    ]
    assert after.entries == []
    assert sorted(after.suites) == ["alpha"]
    back = update(after, report(), Selection(), TODAY)
    assert back.removed == []


def test_a_test_gone_in_one_variant_needs_a_reason_too():
    found = report()
    found.results = [one for one in found.results if str(one.id) != "alpha::test_b[cbor-memory]"]
    with pytest.raises(UsageError, match=r"alpha::test_b\[cbor-memory\]"):
        update(ledger(), found, Selection(), TODAY)


def test_merging_shards_one_after_the_other_gives_the_ledger_of_all():
    whole = report(alpha__test_a="fail")
    excuse = Excuse("known", "#1", datetime.date(2026, 12, 31))
    merged = Ledger(target="x")
    for suite in ("beta", "alpha"):
        shard = RunReport(results=[one for one in whole.results if one.id.suite == suite])
        merged = merge(merged, shard, Selection(), TODAY, excuse)
    assert merged == update(Ledger(target="x"), whole, Selection(), TODAY, excuse)
    fewer = RunReport(results=[one for one in whole.results if one.id.test == "alpha::test_a"])
    with pytest.raises(UsageError, match="alpha::test_b"):
        merge(merged, fewer, Selection(), TODAY)


def test_a_ledger_that_would_not_pass_its_report_is_not_made():
    listed = ledger(entry("alpha::test_a[*]", "fails"), entry("alpha::*[json-memory]", "fails"))
    with pytest.raises(UsageError, match=r"would not pass this report.*\n  overlapping entries: alpha::test_a"):
        update(listed, report(alpha__test_a="fail", alpha__test_b="fail"), Selection(), TODAY, Excuse("r", "l", TODAY))
    with pytest.raises(UsageError, match="expired entry"):
        update(Ledger(target="x"), report(alpha__test_a="fail"), Selection(), TODAY, Excuse("r", "l", datetime.date(2026, 5, 1)))


def test_the_class_of_a_new_entry_follows_the_verdict():
    listed = ledger()
    found = report(alpha__test_a="flaky", alpha__test_b="fail", beta__test_c="skip")
    made = update(listed, found, Selection(), TODAY, Excuse("r", "l", TODAY, measured=MEASURED))
    assert {one.test: (str(one.kind), one.rate) for one in made.entries} == {
        "alpha::test_a": ("flaky", rate_of(4, 50)),
        "alpha::test_b": ("fails", None),
        "beta::test_c": ("unsupported", None),
    }
    assert lines(made, found) == []


def test_an_update_in_one_variant_says_nothing_of_the_others():
    found = report(alpha__test_a="fail")
    found.results = [one for one in found.results if one.id.variant == VARIANTS[0]]
    after = update(ledger(), found, Selection(variants=VARIANTS[:1]), TODAY, Excuse("r", "l", TODAY))
    assert [(one.test, one.variants) for one in after.entries] == [("alpha::test_a", ["json-memory"])]


FINISHED = [verdict for verdict in Verdict if verdict is not Verdict.NOT_RUN]
NAMES = st.text(st.sampled_from("ab*[]:- \\\n\t\x1b\x85\u2028\ud800é\"'"), min_size=1, max_size=6)


@settings(deadline=None)  # a busy machine is no fault
@given(st.dictionaries(st.tuples(NAMES, NAMES), st.sampled_from(FINISHED), min_size=1, max_size=12))
def test_a_ledger_passes_the_report_it_was_made_of_whatever_the_names(verdicts):
    results = {identity: TestResult(identity, verdict, "why") for names, verdict in verdicts.items() for identity in [TestId.of(*names)]}
    found = RunReport(results=sorted(results.values(), key=lambda one: one.id))
    measured = dict.fromkeys(results, (3, 30))
    made = update(Ledger(target="x"), found, Selection(), TODAY, Excuse("r", "l", TODAY, measured=measured))
    read = Ledger.model_validate(tomllib.loads(store.dump(made).encode().decode()))
    assert judge(read, found, Selection(), TODAY) == []
    assert update(read, found, Selection(), TODAY) == read
    every = {identity: TestResult(identity, Verdict.PASS) for identity in results}
    assert len([one for one in judge(read, RunReport(results=list(every.values())), Selection(), TODAY) if one.kind is Kind.STALE]) == sum(
        one.verdict not in (Verdict.PASS, Verdict.FLAKY) for one in results.values()
    )


@pytest.mark.parametrize("literal", [True, False])
def test_the_gate_is_linear(literal):
    results = [
        TestResult(TestId("s", f"test_{number:05}", "json-memory"), Verdict.SKIP if number % 3 == 0 else Verdict.PASS)
        for number in range(10_000)
    ]
    found = RunReport(results=results)
    began = time.process_time()
    made = update(Ledger(target="x"), found, Selection(), TODAY, Excuse("r", "l", TODAY))
    if not literal:
        made = made.model_copy(update={"entries": [entry(f"{one.test}[*]", "unsupported") for one in made.entries]})
    assert len(made.entries) == 3334
    assert judge(made, found, Selection(), TODAY) == []
    assert judge(made, found, Selection(variants=("json-memory",)), TODAY) == []
    assert update(made, found, Selection(), TODAY).entries == made.entries
    assert time.process_time() - began < 5


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
