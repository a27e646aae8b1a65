"""The specification as data, and the coverage of it."""

from __future__ import annotations

import html
from pathlib import Path

import pytest

from harness.cli import summary
from harness.errors import UsageError
from harness.events.results import RunReport, TestResult
from harness.events.verdict import Verdict
from harness.identity import TestId
from harness.junit.write import write as write_junit
from harness.report import markdown
from harness.requirements import coverage, elsewhere, pages
from harness.requirements.explain import Explainer
from harness.requirements.extract import extract
from harness.requirements.model import Check, Document, Level, Requirement, home, load, summaries, writable
from tests.harness.sample import PLAIN, write_corpus

ROOT = Path(__file__).parents[2]
LIFECYCLE = """# Life

Words.

## 1. Start

| ID | V | Requirement |
|---|---|---|
| START-001 | X+L | A start MUST be `a \\| b`. Always. |
| START-002 | I | It SHOULD be logged. |

| ID | V | Suffix | Type |
|---|---|---|---|
| METRIC-001 | I+L | `tasks` | gauge |

### 1.1 More

- **TASK-001** The task MUST run
  on and on: `[L]`

  - for long
- **TASK-002** It MAY rest. `[S]`

## 9. Summary

| Id | Deviation |
|---|---|
| START-001 | none |
"""


@pytest.fixture
def life(tmp_path):
    path = tmp_path / "lifecycle.md"
    path.write_text(LIFECYCLE)
    return extract(path)


def test_rows_and_bullets_become_requirements(life):
    found = {one.id: one for one in life.requirements()}
    assert list(found) == ["START-001", "START-002", "METRIC-001", "TASK-001", "TASK-002"]
    assert found["START-001"].text == "A start MUST be `a | b`. Always."
    assert found["START-001"].summary == "A start MUST be `a | b`."
    assert (found["START-001"].level, found["START-001"].check, found["START-001"].section) == (Level.MUST, Check.OBSERVABLE, "1. Start")
    assert (found["START-002"].level, found["START-002"].check) == (Level.SHOULD, Check.IN_PROCESS)
    assert found["METRIC-001"].text == "suffix: `tasks`; type: gauge"
    assert found["TASK-001"].text == "The task MUST run\non and on: `[L]`\n\n- for long"
    assert found["TASK-002"].level is Level.MAY


def test_a_page_has_every_requirement_with_its_tests_and_keeps_the_prose(life):
    found = coverage.measure(
        [life],
        [{"id": "alpha::test_one[json-memory]", "requirements": ["START-001"], "location": "driver_tests/test_alpha.py::test_one[json]"}],
        [coverage.Reason(kind="unobservable", reason="no one sees it", match=["TASK-*"])],
    )
    text = pages.page(life, found)
    assert '<a id="start-001"></a>**START-001** A start MUST' in text
    assert "tests: [alpha::test_one](../../driver_tests/test_alpha.py)" in text
    assert "no test in the corpus (unobservable): no one sees it" in text
    assert "| START-001 | none |" in text
    assert "| ID | V |" not in text
    assert "Words." in text


def _document(*requirements: tuple[str, str, str]) -> Document:
    blocks = [Requirement(id=name, level=level, check=check, text=f"It {level} be.") for name, level, check in requirements]
    return Document(name="one", title="One", blocks=blocks)


def _event(test: str, *requirements: str) -> dict:
    return {"id": test, "requirements": list(requirements), "location": "x.py::t"}


def test_an_observable_must_needs_a_test_or_a_reason():
    document = _document(
        ("DB-001", "MUST", "observable"),
        ("DB-002", "MUST", "observable"),
        ("DB-003", "MUST", "observable"),
        ("DB-004", "SHOULD", "observable"),
        ("DB-005", "MUST", "in-process"),
    )
    reasons = [coverage.Reason(kind="pending", reason="later", match=["DB-002"])]
    found = coverage.measure([document], [_event("a::b[json-m]", "DB-001"), _event("a::b[cbor-m]", "DB-001")], reasons)
    assert [one.id for one in found.missing] == ["DB-003"]
    assert [checked.test for checked in found.tests["DB-001"]] == ["a::b"]
    assert not found.complete
    whole = coverage.measure([document], [_event("a::b", "DB-001", "DB-003")], reasons)
    assert whole.complete


def test_reasons_for_tested_requirements_are_stale_and_can_be_pruned():
    document = _document(("DB-001", "MUST", "observable"), ("DB-002", "MUST", "observable"))
    reasons = [
        coverage.Reason(kind="pending", reason="later", match=["DB-001", "DB-002"]),
        coverage.Reason(kind="optional", reason="gone", match=["DB-9*"]),
    ]
    found = coverage.measure([document], [_event("a::b", "DB-001")], reasons)
    assert found.stale == ["DB-001", "DB-9*"]
    assert not found.complete
    assert [one.match for one in coverage.prune(reasons, found)] == [["DB-002"]]


def test_a_test_that_names_no_requirement_of_the_specification_is_reported():
    found = coverage.measure([_document(("DB-001", "MUST", "observable"))], [_event("a::b", "DB-001", "DB-777")], [])
    assert found.unknown == {"DB-777": ["a::b"]}
    assert not found.complete


def test_broken_data_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no requirements below"):
        load(tmp_path)
    (tmp_path / "requirements").mkdir()
    document = _document(("DB-001", "MUST", "observable"))
    for name in ("a", "b"):
        (tmp_path / "requirements" / f"{name}.json").write_text(document.model_dump_json())
    with pytest.raises(UsageError, match="DB-001 is in one and in one"):
        load(tmp_path)
    (tmp_path / "untested.toml").write_text('[[reasons]]\nkind = "whim"\nreason = "r"\nmatch = ["A"]\n')
    with pytest.raises(UsageError, match="no reason file"):
        coverage.load_reasons(tmp_path)


def test_the_command_fails_on_a_gap_and_says_which(conform, tmp_path):
    write_corpus(tmp_path / "corpus", alpha=PLAIN)
    spec = tmp_path / "spec"
    (spec / "requirements").mkdir(parents=True)
    document = _document(("TASK-001", "MUST", "observable"), ("TASK-002", "MUST", "observable"), ("TASK-003", "MUST", "observable"))
    (spec / "requirements" / "one.json").write_text(document.model_dump_json())

    def check(*extra: str, status: int = 0) -> str:
        return conform("requirements", "--corpus", str(tmp_path / "corpus"), "--spec", str(spec), *extra, status=status)

    assert "no test and no reason: TASK-003" in check(status=1)
    reasons = [coverage.Reason(kind="pending", reason="tomorrow", match=["TASK-003", "TASK-001"])]
    coverage.save_reasons(spec, reasons)
    assert "excuse nothing any more (conform requirements --prune): TASK-001" in check(status=1)
    assert "dropped from" in check("--prune")
    assert "pending: TASK-003" in check("--untested", "--write-docs")
    assert "[alpha::test_one]" in (spec / "one.md").read_text()


def test_every_observable_must_of_the_specification_has_a_test_or_a_reason(collected):
    spec = home()
    documents = load(spec)
    assert sum(1 for document in documents for _ in document.requirements()) > 1400
    found = coverage.measure(documents, collected, coverage.load_reasons(spec))
    assert [one.id for one in found.missing] == []
    assert found.unknown == {}
    assert elsewhere.lost(coverage.load_reasons(spec), ROOT) == []


def test_what_is_tested_elsewhere_names_a_test_that_exists(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text("def test_here(): ...\nclass TestMore:\n    async def test_there(self): ...\n")
    tests = {"KV-001": ["tests/test_a.py::test_here", "tests/test_a.py::TestMore::test_there"]}
    good = coverage.Reason(kind="elsewhere", reason="r", tests=tests)
    assert elsewhere.lost([good], tmp_path) == []
    gone = ["tests/test_a.py::test_gone", "tests/test_b.py::test_here", "tests/test_a.py::test_there", "tests/test_a.py"]
    bad = coverage.Reason(kind="elsewhere", reason="r", tests={"KV-002": gone})
    assert elsewhere.lost([good, bad], tmp_path) == [f"KV-002: {test} does not exist" for test in gone]


@pytest.mark.parametrize(
    "text",
    [
        'kind = "elsewhere"\nreason = "r"\nmatch = ["A"]',
        'kind = "pending"\nreason = "r"\n[reasons.tests]\nA = ["tests/a.py::b"]',
        'kind = "pending"\nreason = "r"',
    ],
)
def test_only_a_reason_of_kind_elsewhere_names_tests_and_it_must(tmp_path, text):
    (tmp_path / "untested.toml").write_text(f"[[reasons]]\n{text}\n")
    with pytest.raises(UsageError, match="a reason of kind elsewhere has tests, every other one has match"):
        coverage.load_reasons(tmp_path)


def test_reasons_are_written_as_they_were_read(tmp_path):
    reasons = coverage.load_reasons(home())
    coverage.save_reasons(tmp_path, reasons)
    assert (tmp_path / "untested.toml").read_text() == (home() / "untested.toml").read_text()


def _explainer() -> Explainer:
    document = _document(("DB-001", "MUST", "observable"), ("DB-002", "SHOULD", "observable"), ("DB-003", "MUST", "in-process"))
    event = {**_event("a::b[json-m]", "DB-001"), "doc": "What must hold.\nAnd more."}
    reasons = [coverage.Reason(kind="elsewhere", reason="no fixture", tests={"DB-002": ["tests/x.py::test_y"]})]
    return Explainer.of(coverage.measure([document], [event], reasons), [event])


def test_a_requirement_is_explained_with_its_tests_or_its_reason():
    explainer = _explainer()
    assert explainer.explain("db-001").startswith("DB-001 (MUST, checked by the corpus) in one")
    assert "    a::b  What must hold." in explainer.explain("DB-001")
    assert "no test in the corpus (elsewhere): no fixture\n    tests/x.py::test_y" in explainer.explain("DB-002")
    assert explainer.explain("DB-003").endswith("  no test in the corpus")


def test_a_test_is_explained_by_its_requirements():
    explainer = _explainer()
    assert explainer.explain("a::b[json-m]") == explainer.explain("a::b")
    assert explainer.explain("a::b").splitlines()[:3] == ["a::b", "  What must hold.", "  checks:"]
    assert "    DB-001 " in explainer.explain("a::b")


@pytest.mark.parametrize(
    ("asked", "answer"), [("DB-01", "did you mean DB-001"), ("a::bb", "did you mean a::b?"), ("what", "no such requirement: what$")]
)
def test_what_does_not_exist_is_told_with_what_was_meant(asked, answer):
    with pytest.raises(UsageError, match=answer):
        _explainer().explain(asked)


def test_the_installed_specification_is_not_written_to(monkeypatch, tmp_path):
    assert writable(home()) == home()  # a checkout
    assert writable(tmp_path) == tmp_path
    monkeypatch.setattr("harness.requirements.model.SHIPPED", tmp_path)
    with pytest.raises(UsageError, match="part of the installed suite and is not written to"):
        writable(tmp_path)


def test_a_failure_prints_the_sentence_of_its_requirement(tmp_path, capsys):
    one = TestResult(TestId("a", "b", "json-m"), Verdict.FAIL, "no", "assert 1 == 2", requirements=("SLEEP-012", "NONE-001"))
    report = RunReport({"target": "t"}, [one])
    sentence = summaries()["SLEEP-012"]
    summary.show(report, None)
    write_junit(tmp_path / "x.xml", report)
    shown = capsys.readouterr().out
    assert f"SLEEP-012: {sentence}" in shown
    assert f"SLEEP-012: {sentence}" in html.unescape((tmp_path / "x.xml").read_text())
    assert "must: Any activity signal restarts" in markdown.summary([report])
