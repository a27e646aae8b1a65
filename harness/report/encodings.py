"""Which tests carry the wrong word on encodings, by what they put on the wire.

A test that runs in every encoding and uses none of them costs three runs for one verdict; one that is marked `any_encoding` and uses it is
looked at in one encoding only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.events.verdict import Verdict
from harness.identity import has_no_encoding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.events.results import RunReport, TestResult


def misfits(reports: Sequence[RunReport]) -> list[str]:
    """One line per test whose mark and whose wire disagree, sorted.

    Only passes tell: a test that failed or was skipped may not have come to its encoding. Parameters share a mark, so they are taken
    together.

    Raises:
        UsageError: a stream was written before results said whether they used their encoding.
    """
    results: dict[str, list[TestResult]] = {}
    for result in (one for report in reports for one in report.results):
        results.setdefault(result.id.test.partition("(")[0], []).append(result)
    lines: list[str] = []
    for test, some in sorted(results.items()):
        if any(one.encoded is None for one in some):
            raise UsageError(f"of {test} nobody noted whether it used its encoding: record the run again")
        marked = [one for one in some if has_no_encoding(one.id.variant)]
        if any(one.encoded for one in marked):
            lines.append(f"{test}: marked any_encoding, but it uses its encoding: take the mark away, or name the encoding of its client")
        elif not marked and all(one.verdict is Verdict.PASS and not one.encoded for one in some):
            variants = len({one.id.variant for one in some})
            lines.append(f"{test}: ran in {variants} variant(s) and used no encoding: mark it any_encoding")
    return lines
