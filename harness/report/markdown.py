"""A summary for a pull request, and a badge."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from harness.events.results import Counts
from harness.events.verdict import Verdict
from harness.requirements.model import summaries
from harness.text import plain, short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.events.results import RunReport, TestResult

MOST = 25
LONGEST_COMMENT = 65_536
"""Characters of a comment on GitHub."""
LONGEST_TEXT = 500
"""Characters of what a target says, on one line."""
CUT = "{} more lines did not fit into a comment; the event stream has them all."


def summary(reports: Sequence[RunReport]) -> str:
    """A table per target and variant, and the bad tests, root causes first, as GitHub-flavoured Markdown that fits a comment."""
    lines = [
        "## Conformance",
        "",
        "| target | variant | collected | passed | skipped | flaky | failed |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for report in reports:
        totals: dict[str, Counts] = {}
        for (_, variant), count in report.counts().items():
            totals[variant] = totals.get(variant, Counts()) + count
        for variant, total in sorted(totals.items()):
            cells = (total.collected, total.passed, total.skipped, total.flaky, total.failed)
            lines.append(f"| {_cell(name(report))} | {_cell(variant) or '-'} | {' | '.join(map(str, cells))} |")
    for report in reports:
        # Before the failures: an incomplete run makes every number above it doubtful.
        if report.problems:
            lines += ["", *(f"- :warning: {_cell((problem.splitlines() or [''])[0]) or 'incomplete'}" for problem in report.problems)]
        if report.bad:
            lines += ["", f"### {len(report.bad)} not passing on {_cell(name(report))}", ""]
            # Causes first, for the list is cut after `MOST`.
            ordered = sorted(report.bad, key=lambda one: (bool(one.blocked_by), one.id))
            lines += [_bad(one) for one in ordered[:MOST]]
            lines += [f"- ... and {len(report.bad) - MOST} more"] if len(report.bad) > MOST else []
    return _fitting(lines)


def _fitting(lines: list[str]) -> str:
    """As many lines as a comment holds; the last says how many it does not."""
    # By whole lines: half a table row, or half an escape, would break the rest of the comment.
    room = LONGEST_COMMENT - len(CUT.format(len(lines))) - 2
    for kept, line in enumerate(lines):
        room -= len(line) + 1
        if room < 0:
            return "\n".join([*lines[:kept], "", CUT.format(len(lines) - kept)]) + "\n"
    return "\n".join(lines) + "\n"


def badge(reports: Sequence[RunReport], label: str = "conformance") -> dict[str, Any]:
    """A shields.io endpoint: how many of the applicable tests pass."""
    # Skips are left out: a narrow target that passes all that applies to it deserves its 100 %.
    results = [result for report in reports for result in report.results if result.verdict is not Verdict.SKIP]
    passed = sum(result.verdict is Verdict.PASS for result in results)
    broken = any(report.problems for report in reports) or not results
    # In whole numbers and rounded down: 100 % is all of them.
    tenths = passed * 1000 // len(results) if results else 0
    message = "incomplete" if broken else f"{tenths / 10:g}% of {len(results)}"
    colour = "lightgrey" if broken else "brightgreen" if passed == len(results) else "yellow" if tenths >= 900 else "red"
    return {"schemaVersion": 1, "label": label, "message": message, "color": colour}


def name(report: RunReport) -> str:
    """The target of a run, with its time mode when it is known."""
    mode = report.session.get("time")
    return f"{report.session.get('target', '?')} ({mode} time)" if mode else str(report.session.get("target", "?"))


def _bad(result: TestResult) -> str:
    ids = f" {' '.join(result.requirements)}" if result.requirements else ""
    said = [] if result.blocked_by else [summaries()[one] for one in result.requirements[:1] if one in summaries()]
    why = f"blocked by {_code(result.blocked_by)}" if result.blocked_by else _cell(result.message)
    return (
        f"- **{result.verdict}** {_code(str(result.id))}{ids}"
        + (f": {why}" if why else "")
        + "".join(f"<br>must: {_cell(one)}" for one in said)
    )


def _code(text: str) -> str:
    """As code, whatever is in it: the fence is longer than any run of backquotes inside."""
    text = _line(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    pad = " " if fence != "`" else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _cell(text: str) -> str:
    """Text that stays text: no markup, no mention of people or issues, one line."""
    escaped = re.sub(r"([\\`*_\[\]|~#])", r"\\\1", _line(text))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace("@", "@\u200b")


def _line(text: str) -> str:
    """One line of bounded length."""
    # Only the beginning is looked at, so that three megabytes cost nothing.
    return plain(short(" ".join(text[: 10 * LONGEST_TEXT].split()), LONGEST_TEXT))
