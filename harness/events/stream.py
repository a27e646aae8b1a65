"""The canonical event stream of a run: the lanes' events merged into one NDJSON file, with one header and one footer.

A `session` line, one `result` line per test, one `problem` line per thing that kept the run from being complete, and an `end` line, which
has the totals and the SHA-256 of every byte before it: a reader knows that nothing is missing and nothing was changed.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import jsonschema

from harness.errors import UsageError
from harness.events.results import RunReport, TestResult, once
from harness.events.schema import SCHEMA, VERSION
from harness.events.verdict import Verdict
from harness.identity import TestId
from harness.requirements.sets import Standing
from harness.text import storable

if TYPE_CHECKING:
    from pathlib import Path

KEPT = ("message", "detail", "seconds", "attempts", "doc", "timing", "blame", "bundle", "stall", "blocked_by")
"""Fields of a result that go through unchanged."""
SAME = ("target", "profile", "time", "version")
"""What the shards of one run have in common."""


def write(path: Path, report: RunReport) -> None:
    """Write the report as events; equal reports give equal bytes."""
    # Defaults first: files of other tools have no session of ours, and the schema asks for these fields.
    head = {"event": "session", "version": VERSION, "target": "?", "shard": "0/1", **report.session, "lane": "all"}
    lines = [head, *map(_line, report.results)]
    lines += [{"event": "problem", "text": problem} for problem in report.problems]
    # As one text, as the footer holds a digest of exactly these bytes.
    body = "".join(json.dumps(storable(line)) + "\n" for line in lines)
    footer = {"event": "end", **_totals(report), "seconds": round(report.seconds, 3), "digest": _digest(body.encode())}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(body + json.dumps(footer) + "\n", encoding="utf-8")


def read(path: Path) -> RunReport:
    """Read what `write` wrote.

    Raises:
        UsageError: the file is missing, no event stream, cut short, or was changed.
    """
    try:
        # Only "\n" ends a line: other line breaks of Unicode occur inside strings.
        raw = path.read_bytes().split(b"\n")
        lines = [json.loads(line) for line in raw if line]
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is no event stream: {error}") from error
    if not lines or any(not isinstance(line, dict) for line in lines) or lines[0].get("event") != "session":
        raise UsageError(f"{path} is no event stream: it does not begin with a session")
    if lines[0].get("version") != VERSION:
        raise UsageError(f"{path} is an event stream of version {lines[0].get('version')}; this reads version {VERSION}")
    # Before the digest: a file that was cut is the ordinary case, and deserves the better sentence.
    if lines[-1].get("event") != "end" or raw[-1] != b"":
        raise UsageError(f"{path} has no footer: the run did not end, or the file was cut")
    if lines[-1].get("digest") != _digest(b"\n".join(raw[: len(lines) - 1]) + b"\n"):
        raise UsageError(f"{path} does not match the digest in its footer: it was changed")
    # The schema last: it takes longest, and of a changed file it would only say where.
    for number, line in enumerate(lines, 1):
        if (wrong := next(_validator().iter_errors(line), None)) is not None:
            raise UsageError(f"{path}, line {number}: {_reason(wrong)}")
    problems = [line["text"] for line in lines if line["event"] == "problem"]
    results = [_result(line) for line in lines if line["event"] == "result"]
    report = RunReport(lines[0], results, problems, lines[-1]["seconds"])
    if any(lines[-1].get(name) != value for name, value in _totals(report).items()):
        raise UsageError(f"{path} has totals in its footer that are not those of its results: it was changed")
    return report


def merge(reports: list[RunReport]) -> RunReport:
    """One report of the shards of one run, the same in whatever order they come.

    A test that occurs in more than one is a problem of the merged report, not silently one or the other. One without an encoding belongs
    to the run of each encoding; its worst result counts.

    Raises:
        UsageError: the reports are not of one run (target, profile, kind of time), or there is none.
    """
    if not reports:
        raise UsageError("nothing to merge")
    for name in SAME:
        different = {str(report.session.get(name, "?")) for report in reports}
        if len(different) > 1:
            raise UsageError(f"these are runs of different {name}s: {', '.join(sorted(different))}")
    # By when they began, so that the merged session is that of the first whoever lists them; the rest of the key breaks ties.
    ordered = sorted(
        reports, key=lambda report: (report.session.get("at", 0.0), [str(result.id) for result in report.results], report.seconds)
    )
    session = dict(ordered[0].session)
    for name in ("capabilities", "encodings", "storages"):
        session[name] = list(dict.fromkeys(one for report in ordered for one in report.session.get(name, ())))
    session["picked"] = any(report.session.get("picked", False) for report in ordered)
    merged = RunReport({**session, "shard": "0/1"}, seconds=max(report.seconds for report in reports))
    # Double results stay: the account says so by name, while dropping one would choose a verdict.
    merged.results = once(sorted((result for report in ordered for result in report.results), key=lambda result: result.id))
    found = {problem for report in reports for problem in report.problems}
    times = Counter(result.id for result in merged.results)
    found |= {f"{name} occurs in more than one of the merged runs" for name, count in times.items() if count > 1}
    merged.problems = sorted(found | _missing(reports))
    return merged


def _missing(reports: list[RunReport]) -> set[str]:
    """Shards that nobody gave, or gave twice: a merged run that lacks one would look whole."""
    given = Counter(str(report.session.get("shard", "0/1")) for report in reports)
    counts = {int(shard.partition("/")[2]) for shard in given} - {1}
    if len(counts) > 1:
        return {f"shards of different splits: {', '.join(sorted(given))} (counted from 0)"}
    absent = {f"{index}/{count}" for count in counts for index in range(count)} - set(given)
    # Counted from 1 for people; inside a stream shards are counted from 0.
    return {f"shard {int(shard.partition('/')[0]) + 1}/{shard.partition('/')[2]} is missing" for shard in absent}


def _line(result: TestResult) -> dict[str, Any]:
    encoding, _, storage = result.id.variant.partition("-")
    timeline = {"timeline": list(result.timeline)} if result.timeline else {}
    encoded = {"encoded": result.encoded} if result.encoded is not None else {}
    return {
        "event": "result",
        "id": str(result.id),
        "suite": result.id.suite,
        "encoding": encoding,
        "storage": storage,
        "verdict": str(result.verdict),
        "standing": str(result.standing),
        "requirements": list(result.requirements),
        "witnesses": dict(result.witnesses),
        **{name: getattr(result, name) for name in KEPT},
        **encoded,
        **timeline,
    }


def _result(line: dict[str, Any]) -> TestResult:
    return TestResult(
        id=TestId.parse(line["id"]),
        verdict=Verdict(line["verdict"]),
        requirements=tuple(line.get("requirements", ())),
        witnesses=line.get("witnesses", {}),
        timeline=tuple(line.get("timeline", ())),
        encoded=line.get("encoded"),
        standing=Standing(line.get("standing", Standing.DECIDES)),
        **{name: line[name] for name in KEPT if name in line},
    )


def _totals(report: RunReport) -> dict[str, Any]:
    verdicts = Counter(result.verdict for result in report.results)
    return {
        "status": report.status,
        "collected": len(report.results),
        "verdicts": {str(one): verdicts[one] for one in Verdict if verdicts[one]},
    }


@functools.cache
def _validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


def _reason(error: jsonschema.ValidationError) -> str:
    place = "/".join(map(str, error.absolute_path))
    return f"{place}: {error.message}" if place else error.message


def _digest(body: bytes) -> str:
    return "sha256:" + hashlib.sha256(body).hexdigest()
