"""The canonical event stream of a run: the lanes' events merged into one NDJSON file, with one header and one footer."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.run.results import RunReport

SCHEMA = Path(__file__).parent.parent / "events.schema.json"
"""JSON Schema of one line."""


def write(path: Path, report: RunReport) -> None:
    """Write the report as events; the footer has the totals."""
    lines: list[dict[str, Any]] = [{**report.session, "event": "session", "lane": "all", "shard": "0/1"}]
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
                "message": result.message,
                "detail": result.detail,
                "seconds": result.seconds,
                "attempts": result.attempts,
                "requirements": list(result.requirements),
                "doc": result.doc,
                "timing": result.timing,
                "witnesses": dict(result.witnesses),
                "blame": result.blame,
                "bundle": result.bundle,
            }
        )
    verdicts = Counter(str(result.verdict) for result in report.results)
    lines.append(
        {"event": "end", "status": report.status, "collected": len(report.results), "verdicts": verdicts, "problems": report.problems}
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
