"""Event streams and what is made of them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import pytest

from harness.errors import UsageError
from harness.identity import TestId
from harness.report import markdown, page, timeline
from harness.report.compare import compare
from harness.requirements.model import Check, Level, Requirement
from harness.run import eventlog
from harness.run.results import RunReport, TestResult
from harness.verdicts import Verdict
from tests.harness.sample import run, write_corpus

ROOT = Path(__file__).parents[2]
SESSION = {"event": "session", "target": "fake", "time": "virtual", "profile": "seed", "python": "3.11", "capabilities": ["overload"]}


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
    eventlog.write(tmp_path / "run.ndjson", written)
    read = eventlog.read(tmp_path / "run.ndjson")
    assert read.results == written.results
    assert (read.seconds, read.problems, read.session["target"]) == (1.5, [], "fake")
    schema = json.loads(eventlog.SCHEMA.read_text())
    for line in (tmp_path / "run.ndjson").read_text().splitlines():
        jsonschema.validate(json.loads(line), schema)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda text: text.replace('"pass"', '"fail"', 1), "does not match the digest"),
        (lambda text: "\n".join(text.splitlines()[:-1]), "has no footer"),
        (lambda text: "\n".join([*text.splitlines()[:1], *text.splitlines()[2:]]), "does not match the digest"),
        (lambda text: "{", "no event stream"),
        (lambda text: "", "does not begin with a session"),
    ],
)
def test_a_stream_that_was_cut_or_changed_is_refused(tmp_path, spoil, message):
    path = tmp_path / "run.ndjson"
    eventlog.write(path, report(test_a="pass"))
    path.write_text(spoil(path.read_text()))
    with pytest.raises(UsageError, match=message):
        eventlog.read(path)


def test_shards_merge_to_exact_counts():
    merged = eventlog.merge([report(test_a="pass"), report(test_b="fail")])
    assert len(merged.results) == 4
    assert merged.status == 1
    assert eventlog.merge([report(test_a="pass"), report(test_a="pass")]).problems[0].endswith("occurs in more than one of the merged runs")
    with pytest.raises(UsageError, match="different targets"):
        eventlog.merge([report(test_a="pass"), report("other", test_b="pass")])


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
    assert "- **fail** `alpha::test_b[json-memory]` DB-001: why &lt;b>test_b" in text


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
        if tag not in ("meta", "br", "input", "circle", "rect", "line"):
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
    assert all(link.startswith("#") and link[1:] in parsed.ids for link in parsed.links)
    assert not re.search(r"https?://", text)
    assert "1 / 2" in parsed.text
    assert "Rows MUST stay. Always." in parsed.text
    assert "why <b>test_b</b>" in parsed.text
    assert "<b>test_b" not in text


FAILING = '''
@requirement("TASK-009")
async def test_bad(conform, boundary):
    """Bad."""
    await conform.http.post("/hello", content=b"out")
    await conform.http.get("/actors", params={"actor_ids": "0123456789abcdefghijklmnopqrst"})
    conform.transcript.mark("boundary <crossed>")
    assert 0
'''


def test_the_timeline_shows_what_the_bundle_has(tmp_path):
    result = run(write_corpus(tmp_path / "corpus", gamma=FAILING), evidence=tmp_path / "e").results[0]
    bundle = Path(result.bundle)
    picture = timeline.draw(bundle)
    assert "boundary &lt;crossed&gt;" in picture
    assert "POST /hello 200" in picture
    rows = [json.loads(line) for line in (bundle / "transcript.ndjson").read_text().splitlines()]
    epoch = json.loads((bundle / "bundle.json").read_text())["epoch_ms"]
    record = {"actor_id": "abc", "connectable_ts": epoch + 20, "sleep_ts": epoch + 40}
    rows[1]["response"]["decoded"] = {"actors": [record]}
    rows.append({"t": 0.05, "kind": "ws", "socket": 1, "event": "open", "url": "ws://x/connect", "protocols": []})
    rows.append({"t": 0.06, "kind": "ws", "socket": 1, "event": "sent", "data": "hi"})
    (bundle / "transcript.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
    about = json.loads((bundle / "bundle.json").read_text())
    (bundle / "bundle.json").write_text(json.dumps({**about, "time": "real"}))

    stamp = datetime.fromtimestamp((epoch + 30) / 1000, UTC).isoformat()
    (bundle / "target.log").write_text(f'timestamp={stamp} level=info event="state saved" n=1\ntimestamp={stamp} level=info event=other\n')
    picture = timeline.draw(bundle)
    assert "awake (abc) at 20 ms" in picture
    assert "asleep (abc) at 40 ms" in picture
    assert "state saved at 30 ms" in picture
    assert "other at" not in picture
    assert "-&gt; &quot;hi&quot;" in picture
    assert timeline.draw(tmp_path) == ""


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


def test_the_report_commands(tmp_path):
    def conform(status: int, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "harness.cli", *arguments],
            capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    write_corpus(tmp_path / "corpus", gamma=FAILING)
    fake = ("--target", "tests.harness.fake_target:make", "--corpus", "corpus", "--storage", "memory", "--encoding", "json")
    conform(1, "run", *fake, "--events", "a.ndjson")
    eventlog.write(tmp_path / "b.ndjson", report(test_a="pass"))
    conform(0, "report", "render", "a.ndjson", "b.ndjson", "--html", "out/r.html", "--markdown", "out/r.md", "--badge", "out/b.json")
    assert "timeline of the test" in (tmp_path / "out/r.html").read_text()
    assert json.loads((tmp_path / "out/b.json").read_text())["color"] == "red"
    assert "vanished" in conform(1, "report", "diff", "a.ndjson", "b.ndjson")
    assert "3 collected" in conform(1, "report", "merge", "a.ndjson", "b.ndjson", "-o", "c.ndjson")
    assert len(eventlog.read(tmp_path / "c.ndjson").results) == 3
    assert "nothing to write" in conform(2, "report", "render", "a.ndjson")


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_in_a_browser(tmp_path, width):
    text = page.render([report(test_a="pass", test_b="fail")], [])
    # The page reports on itself: whether it is wider than the window, and whether the filter works.
    probe = """<script>
    const bad = document.documentElement.scrollWidth > window.innerWidth;
    const box = document.getElementById("filter"); box.value = "test_b"; box.dispatchEvent(new Event("input"));
    const shown = [...document.querySelectorAll("tr.test")].filter(row => !row.hidden).length;
    document.title = `overflow=${bad} shown=${shown}`;
    </script></body>"""
    (tmp_path / "r.html").write_text(text.replace("</body>", probe))
    done = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", f"--window-size={width},900",
         f"--user-data-dir={tmp_path}/profile", "--dump-dom", f"file://{tmp_path}/r.html"],
        capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert "<title>overflow=false shown=1</title>" in done.stdout, done.stderr[-500:]
