"""Event streams and what is made of them."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise, permutations

import jsonschema
import pytest

from harness import junit
from harness.errors import UsageError
from harness.events import stream
from harness.events.results import Counts, RunReport, TestResult
from harness.events.schema import SCHEMA
from harness.events.verdict import Verdict
from harness.identity import TestId
from harness.report import markdown, page
from harness.report.compare import compare
from harness.requirements.model import Check, Level, Requirement
from tests.harness.sample import run, write_corpus

SESSION = {
    "event": "session",
    "version": 1,
    "target": "fake",
    "time": "virtual",
    "profile": "seed",
    "python": "3.11",
    "capabilities": ["overload"],
}


def report(target: str = "fake", **verdicts: str) -> RunReport:
    results = [
        TestResult(
            TestId("alpha", name, variant), Verdict(verdict), f"why <b>{name}</b>", "", 0.5, requirements=("DB-001",), doc="It & so."
        )
        for name, verdict in verdicts.items()
        for variant in ("cbor-memory", "json-memory")
    ]
    return RunReport({**SESSION, "target": target}, sorted(results, key=lambda one: one.id), [], 1.5)


def test_a_stream_reads_back_as_it_was_and_fits_the_schema(tmp_path):
    written = report(test_a="pass", test_b="fail")
    span = {"row": "calls", "kind": "call", "label": "one\u2028line", "at": 0.5, "until": 0.75}
    written.results[0] = replace(written.results[0], timeline=(span,), witnesses={"asleep": [1, 2]}, stall=0.3, bundle="e/b")
    written.problems = ["worker 1 died", "worker 2 too"]
    stream.write(tmp_path / "run.ndjson", written)
    read = stream.read(tmp_path / "run.ndjson")
    assert read.results == written.results
    assert (read.seconds, read.problems, read.session["target"]) == (1.5, written.problems, "fake")
    stream.write(tmp_path / "again.ndjson", read)
    assert (tmp_path / "again.ndjson").read_bytes() == (tmp_path / "run.ndjson").read_bytes()
    schema = json.loads(SCHEMA.read_text())
    for line in (tmp_path / "run.ndjson").read_text().splitlines():
        jsonschema.validate(json.loads(line), schema)


def signed(text: str) -> str:
    """With a digest that fits again: what another producer of streams may get wrong."""
    *lines, footer = text.splitlines()
    body = "".join(line + "\n" for line in lines)
    digest = "sha256:" + hashlib.sha256(body.encode()).hexdigest()
    return body + json.dumps({**json.loads(footer), "digest": digest}) + "\n"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda text: text.replace('"pass"', '"fail"', 1), "does not match the digest"),
        (lambda text: "\n".join(text.splitlines()[:-1]), "has no footer"),
        (lambda text: "".join([*text.splitlines(keepends=True)[:1], *text.splitlines(keepends=True)[2:]]), "does not match the digest"),
        (lambda text: "{", "no event stream"),
        (lambda text: "", "does not begin with a session"),
        (lambda text: text.removesuffix("\n"), "has no footer"),
        (lambda text: text.replace('"version": 1', '"version": 2', 1), "of version 2"),
        (lambda text: text.replace('"collected": 2', '"collected": 3', 1), "totals in its footer"),
        (lambda text: text.replace('"status": 0', '"status": 1', 1), "totals in its footer"),
        (lambda text: signed(text.replace('"seconds": 0.5', '"seconds": "long"', 1)), r"line 2: seconds: 'long' is not of type"),
        (lambda text: signed(text.replace('"verdict": "pass"', '"verdict": "fine"', 1)), "line 2: verdict: 'fine' is not one of"),
        (lambda text: signed(text.replace('"event": "result"', '"event": "rumour"', 1)), "line 2: event: 'rumour' is not one of"),
    ],
)
def test_a_stream_that_was_cut_or_changed_is_refused(tmp_path, spoil, message):
    path = tmp_path / "run.ndjson"
    stream.write(path, report(test_a="pass"))
    path.write_text(spoil(path.read_text()))
    with pytest.raises(UsageError, match=message):
        stream.read(path)


def test_shards_merge_to_exact_counts():
    merged = stream.merge([report(test_a="pass"), report(test_b="fail")])
    assert len(merged.results) == 4
    assert merged.status == 1
    assert sum(merged.counts().values(), Counts()).values() == (4, 2, 0, 0, 2, 0)
    assert stream.merge([report(test_a="pass"), report(test_a="pass")]).problems == [
        f"alpha::test_a[{variant}] occurs in more than one of the merged runs" for variant in ("cbor-memory", "json-memory")
    ]
    with pytest.raises(UsageError, match="different targets: fake, other"):
        stream.merge([report(test_a="pass"), report("other", test_b="pass")])
    with pytest.raises(UsageError, match="different times: real, virtual"):
        stream.merge([report(test_a="pass"), RunReport({**SESSION, "time": "real"})])
    with pytest.raises(UsageError, match="nothing to merge"):
        stream.merge([])


def test_shards_merge_to_the_same_bytes_in_any_order(tmp_path):
    shards = [report(test_a="pass"), report(test_b="fail"), report(test_c="skip", test_a="fail")]
    for number, shard in enumerate(shards):
        shard.session |= {"at": 1000.0 + number // 2, "encodings": [("json", "cbor", "bare")[number]]}
        shard.problems = [f"worker {number} died", "disk full"]
    for number, some in enumerate(permutations(shards)):
        stream.write(tmp_path / f"{number}.ndjson", stream.merge(list(some)))
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1
    merged = stream.read(tmp_path / "0.ndjson")
    assert (merged.session["at"], sorted(merged.session["encodings"])) == (1000.0, ["bare", "cbor", "json"])
    assert [one for one in merged.problems if "occurs" not in one] == ["disk full", "worker 0 died", "worker 1 died", "worker 2 died"]


def test_a_difference_says_what_got_worse():
    before = report(broken="pass", lost="pass", mended="fail", gone="pass", same="fail")
    after = report(broken="fail", lost="skip", mended="pass", same="fail", fresh="pass")
    found = compare(before, after)
    assert [(name, sorted({one.id.name for one in some})) for name, some in found.groups()] == [
        ("broken", ["broken", "lost"]), ("vanished", ["gone"]), ("fixed", ["mended"]), ("added", ["fresh"]),
    ]  # fmt: skip
    assert found.worse
    assert not compare(before, before).worse
    assert not compare(report(a="fail"), report(a="pass", b="pass")).worse
    assert compare(report(a="pass"), report(a="pass", b="fail")).worse
    for better, worse in pairwise(("pass", "skip", "flaky", "inconclusive", "fail")):
        assert compare(report(a=better), report(a=worse)).worse
        assert not compare(report(a=worse), report(a=better)).worse
    assert [name for name, _ in compare(report(a="fail"), report(a="error")).groups()] == ["other"]


def test_the_badge_is_only_green_when_everything_applicable_passes():
    assert markdown.badge([report(a="pass", b="skip")]) == {
        "schemaVersion": 1, "label": "conformance", "message": "100% of 2", "color": "brightgreen",
    }  # fmt: skip
    many = report(**{f"t{index}": "pass" for index in range(999)}, bad="fail")
    assert markdown.badge([many])["message"] == "99.9% of 2000"
    assert markdown.badge([RunReport(SESSION, [], ["died"])])["message"] == "incomplete"


def test_the_summary_for_a_pull_request():
    text = markdown.summary([report(test_a="pass", test_b="fail")])
    assert "| fake (virtual time) | json-memory | 2 | 1 | 0 | 0 | 1 |" in text
    assert "- **fail** `alpha::test_b[json-memory]` DB-001: why &lt;b>test\\_b" in text


def test_the_summary_shows_root_causes_first_and_nothing_as_markup():
    one, two = report(a="fail", b="fail").results[:2], report(a="fail", b="fail").results[2:]
    results = [replace(one[0], blocked_by=str(two[0].id)), replace(two[0], message="@someone [x](y) #12\n| `code` |")]
    text = markdown.summary([RunReport(SESSION, results, ["worker died\nits log"])])
    lines = [line for line in text.splitlines() if line.startswith("- ")]
    assert lines[0] == "- :warning: worker died"
    assert "@\u200bsomeone \\[x\\](y) \\#12 \\| \\`code\\` \\|" in lines[1]
    assert lines[2].endswith(f"blocked by `{two[0].id}`")


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "br", "input", "circle", "rect", "line", "link"):
            self.open.append(tag)
        found = dict(attrs)
        self.links += [found[name] for name in ("href", "src") if name in found]
        self.ids.add(found.get("id", ""))

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if tag not in ("circle", "rect", "line"):
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_page_is_whole_and_self_contained():
    requirement = Requirement(id="DB-001", level=Level.MUST, check=Check.OBSERVABLE, text="Rows MUST stay. Always.")
    text = page.render([report(test_a="pass", test_b="fail"), report("peer", test_a="skip")], [requirement])
    parsed = _Page(text)
    assert all(link == "data:," or (link.startswith("#") and link[1:] in parsed.ids) for link in parsed.links)
    assert not re.search(r"https?://|@import|url\(", text)
    assert "1/2" in parsed.text
    assert "Rows MUST stay. Always." in parsed.text
    assert "why <b>test_b</b>" in parsed.text
    assert "<b>test_b" not in text


def test_a_page_of_nothing_is_a_page():
    assert "worker &lt;died&gt;" in page.render([RunReport(SESSION, [], ["worker <died>"])], [])


def test_root_causes_come_before_what_they_block():
    results = report(test_a="fail", test_b="fail", test_c="fail", test_d="pass").results
    cause = "alpha::test_c"
    results = [replace(one, blocked_by=f"{cause}[{one.id.variant}]") if one.id.name == "test_b" else one for one in results]
    # One variant of its own makes a test a cause.
    results = [replace(one, blocked_by=f"{cause}[cbor-memory]") if str(one.id) == "alpha::test_a[cbor-memory]" else one for one in results]
    text = page.render([RunReport(SESSION, results)], [])
    assert "2 root causes, 1 blocked behind them" in text
    cards = re.findall(r'<details class="failure card( behind)?" id="failure-(\d)"', text)
    assert cards == [("", "2"), ("", "0"), (" behind", "1")]
    assert '<a href="#failure-1">alpha::test_b</a>' in text


FAILING = """
@requirement("TASK-009")
async def test_bad(conform, boundary):
    \"\"\"Bad.\"\"\"
    await conform.http.post("/hello", content=b"out")
    await conform.http.get("/actors", params={"actor_ids": "0123456789abcdefghijklmnopqrst"})
    conform.transcript.mark("boundary <crossed>")
    assert 0
"""


def test_the_page_shows_what_a_bundle_has_wherever_it_is_now(tmp_path):
    found = run(write_corpus(tmp_path / "corpus", gamma=FAILING), evidence=tmp_path / "e")
    for text in (page.render([found], []), page.render([found], [], tmp_path / "e")):
        assert "Wire transcript" in text
        assert "boundary &lt;crossed&gt;" in text
        assert "Run it again" in text
    (tmp_path / "e").rename(tmp_path / "moved")
    assert "not there when this page was made" in page.render([found], [])
    assert "Wire transcript" in page.render([found], [], tmp_path / "moved")
    # What a later run left in its place is evidence of something else.
    found.results = [replace(found.results[0], message="another failure")]
    assert "Wire transcript" not in page.render([found], [], tmp_path / "moved")


CHAIN = '''
from harness import depends_on

@requirement("TASK-001")
async def test_a_leaf(conform):
    """Needs the middle."""
    assert 0
test_a_leaf = depends_on("gamma::test_middle")(test_a_leaf)

@requirement("TASK-001")
@depends_on("gamma::test_root", "gamma::test_fine")
async def test_middle(conform):
    """Needs the root."""
    assert 0

@requirement("TASK-001")
async def test_root(conform):
    """The root."""
    assert 0

@requirement("TASK-001")
@depends_on("gamma::test_root")
async def test_fine(conform):
    """Passes all the same."""
'''


def test_blocked_tests_name_their_root_cause(tmp_path):
    found = {result.id.name: result.blocked_by for result in run(write_corpus(tmp_path / "corpus", gamma=CHAIN), jobs=2).results}
    root = "gamma::test_root[json-memory]"
    assert found == {"test_a_leaf": root, "test_middle": root, "test_root": "", "test_fine": ""}


def test_the_report_commands(conform, tmp_path):
    write_corpus(tmp_path / "corpus", gamma=FAILING)
    fake = ("--target", "tests.harness.fake_target:make", "--corpus", "corpus", "--storage", "memory", "--encoding", "json")
    conform("run", *fake, "--events", "a.ndjson", status=1)
    stream.write(tmp_path / "b.ndjson", report(test_a="pass"))
    conform("report", "html", "a.ndjson", "b.ndjson", "-o", "out/r.html")
    assert "timeline of gamma::test_bad[json-memory]" in (tmp_path / "out/r.html").read_text()
    assert "4 tests" not in conform("report", "markdown", "a.ndjson", "b.ndjson")
    conform("report", "markdown", "a.ndjson", "-o", "out/r.md")
    assert (tmp_path / "out/r.md").read_text() == conform("report", "markdown", "a.ndjson")
    assert json.loads(conform("report", "badge", "a.ndjson", "b.ndjson", "--label", "actors")) == {
        "schemaVersion": 1, "label": "actors", "message": "66.6% of 3", "color": "red",
    }  # fmt: skip
    conform("report", "junit", "a.ndjson", "b.ndjson", "-o", "out/j.xml")
    assert sorted(str(one.id) for one in junit.read([tmp_path / "out/j.xml"]).results) == sorted(
        str(one.id) for name in "ab" for one in stream.read(tmp_path / f"{name}.ndjson").results
    )
    assert "vanished" in conform("report", "diff", "a.ndjson", "b.ndjson", status=1)
    assert "the same verdicts" in conform("report", "diff", "b.ndjson", "b.ndjson")
    assert "3 collected" in conform("report", "merge", "a.ndjson", "b.ndjson", "-o", "c.ndjson", status=1)
    assert len(stream.read(tmp_path / "c.ndjson").results) == 3
    conform("report", "merge", "a.ndjson", "a.ndjson", "-o", "d.ndjson", status=2)
    assert "no event stream" in conform("report", "html", "missing.ndjson", "-o", "out/r.html", status=2)
    assert "no such directory" in conform("report", "html", "a.ndjson", "-o", "out/r.html", "--evidence", "nowhere", status=2)
