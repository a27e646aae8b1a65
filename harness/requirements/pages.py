"""The specification as Markdown pages, every requirement with an anchor and with links to its tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.requirements.coverage import must_be_tested
from harness.requirements.model import Check, Heading, Prose

if TYPE_CHECKING:
    from pathlib import Path

    from harness.requirements.coverage import Coverage
    from harness.requirements.model import Document, Requirement

UP = "../.."
"""From a page to the root of the project."""
NOTICE = "<!-- Written by `conform requirements --write-docs`; change the data, not this page. -->"


def write(directory: Path, coverage: Coverage) -> list[Path]:
    """Write one page per document and an index; returns what was written."""
    # All pages every time, so that one that was edited by hand is overwritten and shows in the diff.
    written = [directory / "README.md"]
    written[0].write_text(_index(coverage), encoding="utf-8")
    for document in coverage.documents:
        path = directory / f"{document.name}.md"
        path.write_text(page(document, coverage), encoding="utf-8")
        written.append(path)
    return written


def page(document: Document, coverage: Coverage) -> str:
    """One document."""
    parts = [NOTICE]
    for block in document.blocks:
        if isinstance(block, Heading):
            parts.append(f"{'#' * block.depth} {block.heading}")
        elif isinstance(block, Prose):
            parts.append(block.prose)
        else:
            parts.append(_requirement(block, coverage))
    return "\n\n".join(parts) + "\n"


def _requirement(one: Requirement, coverage: Coverage) -> str:
    text = one.text.replace("\n", "\n  ")
    marks = f" `{one.marks}`" if one.marks and one.marks not in one.text else ""
    return f'- <a id="{one.id.lower()}"></a>**{one.id}** {text}{marks}\n\n  <sub>{one.level} · {_checked(one, coverage)}</sub>'


def _checked(one: Requirement, coverage: Coverage) -> str:
    tests = coverage.tests.get(one.id)
    if tests:
        return "tests: " + ", ".join(f"[{test.test}]({UP}/{test.path})" for test in tests)
    reason = coverage.reasons.get(one.id)
    if reason is not None:
        named = "".join(f", [{test.partition('::')[2]}]({UP}/{test.partition('::')[0]})" for test in reason.tests.get(one.id, ()))
        return f"no test in the corpus ({reason.kind}): {reason.reason}{named}"
    # What cannot be checked from outside lacks no test of the corpus.
    return "no test" if one.check is Check.OBSERVABLE else f"checked {one.check}"


def _index(coverage: Coverage) -> str:
    rows = ["| document | requirements | observable MUSTs | with a test |", "|---|---:|---:|---:|"]
    for document in coverage.documents:
        every = list(document.requirements())
        due = [one for one in every if must_be_tested(one)]
        tested = sum(one.id in coverage.tests for one in due)
        rows.append(f"| [{document.title}]({document.name}.md) | {len(every)} | {len(due)} | {tested} |")
    intro = "The specification, with the tests of the corpus that check each requirement. `untested.toml` says why a requirement has none."
    return "\n\n".join([NOTICE, "# Specification", intro, "\n".join(rows)]) + "\n"
