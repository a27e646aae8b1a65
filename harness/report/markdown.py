"""A summary for a pull request, and a badge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.run.results import Counts
from harness.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.run.results import RunReport

MOST = 25


def summary(reports: Sequence[RunReport]) -> str:
    """A table per target and variant, and the bad tests, as GitHub-flavoured Markdown."""
    lines = [
        "## Conformance",
        "",
        "| target | variant | collected | passed | skipped | flaky | failed |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for report in reports:
        counts = report.counts()
        for variant in sorted({variant for _, variant in counts}):
            total = sum((count for (_, one), count in counts.items() if one == variant), Counts())
            cells = (total.collected, total.passed, total.skipped, total.flaky, total.failed)
            lines.append(f"| {name(report)} | {variant or '-'} | {' | '.join(map(str, cells))} |")
    for report in reports:
        lines += ["", *(f"- :warning: {problem.splitlines()[0]}" for problem in report.problems)]
        if report.bad:
            lines += [f"### {len(report.bad)} not passing on {name(report)}", ""]
            lines += [f"- **{one.verdict}** `{one.id}` {' '.join(one.requirements)}: {_cell(one.message)}" for one in report.bad[:MOST]]
            lines += [f"- ... and {len(report.bad) - MOST} more"] if len(report.bad) > MOST else []
    return "\n".join(lines).rstrip() + "\n"


def badge(reports: Sequence[RunReport]) -> dict[str, Any]:
    """A shields.io endpoint: how many of the applicable tests pass."""
    results = [result for report in reports for result in report.results if result.verdict is not Verdict.SKIP]
    passed = sum(result.verdict is Verdict.PASS for result in results)
    share = passed / len(results) if results else 0.0
    broken = any(report.problems for report in reports) or not results
    # Rounded down: 100 % is all of them.
    message = "incomplete" if broken else f"{int(share * 1000) / 10:g}% of {len(results)}"
    colour = "lightgrey" if broken else "brightgreen" if passed == len(results) else "yellow" if share >= 0.9 else "red"
    return {"schemaVersion": 1, "label": "conformance", "message": message, "color": colour}


def name(report: RunReport) -> str:
    """The target of a run, with its time mode."""
    return f"{report.session.get('target', '?')} ({report.session.get('time', '?')} time)"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
