"""The canonical event stream of a run: the lanes' events merged into one NDJSON file, with one header and one footer.

The footer has the totals and the SHA-256 of every byte before it, so that a reader knows that nothing is missing and nothing was changed.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.identity import TestId
from harness.run.results import RunReport, TestResult
from harness.verdicts import Verdict

SCHEMA = Path(__file__).parent.parent / "events.schema.json"
"""JSON Schema of one line."""
KEPT = ("message", "detail", "seconds", "attempts", "doc", "timing", "blame", "bundle", "stall", "blocked_by")
"""Fields of a result that go through unchanged."""


def write(path: Path, report: RunReport) -> None:
    """Write the report as events."""
    lines: list[dict[str, Any]] = [{**report.session, "event": "session", "lane": "all", "shard": report.session.get("shard", "0/1")}]
    for result in report.results:
        encoding, _, storage = result.id.variant.partition("-")
        lines.append(
            {
                "event": "result",
                "id": str(result.id),
                "suite": result.id.suite,
                "encoding": encoding,
                "storage": storage,
                "verdict": str(result.verdict),
                "requirements": list(result.requirements),
                "witnesses": dict(result.witnesses),
                **{name: getattr(result, name) for name in KEPT},
            }
        )
    body = "".join(json.dumps(line) + "\n" for line in lines)
    footer = {
        "event": "end",
        "status": report.status,
        "collected": len(report.results),
        "verdicts": Counter(str(result.verdict) for result in report.results),
        "problems": report.problems,
        "seconds": round(report.seconds, 3),
        "digest": _digest(body),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(body + json.dumps(footer) + "\n", encoding="utf-8")


def read(path: Path) -> RunReport:
    """Read what `write` wrote.

    Raises:
        UsageError: the file is missing, no event stream, cut short, or was changed.
    """
    try:
        text = path.read_text(encoding="utf-8")
        lines = [json.loads(line) for line in text.splitlines()]
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is no event stream: {error}") from error
    if not lines or any(not isinstance(line, dict) for line in lines) or lines[0].get("event") != "session":
        raise UsageError(f"{path} is no event stream: it does not begin with a session")
    if lines[-1].get("event") != "end":
        raise UsageError(f"{path} has no footer: the run did not end, or the file was cut")
    body = "".join(line + "\n" for line in text.splitlines()[:-1])
    if lines[-1].get("digest") != _digest(body):
        raise UsageError(f"{path} does not match the digest in its footer: it was changed")
    try:
        results = [_result(line) for line in lines[1:-1] if line.get("event") == "result"]
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path} is no event stream: {error!r}") from error
    return RunReport(lines[0], results, lines[-1].get("problems", []), lines[-1].get("seconds", 0.0))


def merge(reports: list[RunReport]) -> RunReport:
    """One report of the shards of one run.

    A test that occurs in more than one is a problem of the merged report, not silently one or the other.

    Raises:
        UsageError: the reports are of different targets, or there is none.
    """
    if not reports:
        raise UsageError("nothing to merge")
    targets = {str(report.session.get("target")) for report in reports}
    if len(targets) > 1:
        raise UsageError(f"these are runs of different targets: {', '.join(sorted(targets))}")
    merged = RunReport(session={**reports[0].session, "shard": "0/1"}, seconds=max(report.seconds for report in reports))
    seen: set[TestId] = set()
    for report in reports:
        merged.problems += [one for one in report.problems if one not in merged.problems]
        for result in report.results:
            if result.id in seen:
                merged.problems.append(f"{result.id} occurs in more than one of the merged runs")
            seen.add(result.id)
            merged.results.append(result)
    merged.results.sort(key=lambda result: result.id)
    return merged


def _result(line: dict[str, Any]) -> TestResult:
    return TestResult(
        id=TestId.parse(line["id"]),
        verdict=Verdict(line["verdict"]),
        requirements=tuple(line["requirements"]),
        witnesses=line["witnesses"],
        **{name: line[name] for name in KEPT},
    )


def _digest(body: str) -> str:
    return "sha256:" + hashlib.sha256(body.encode()).hexdigest()
