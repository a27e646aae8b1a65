"""The cases of a document, wherever they stand, and what suites say of themselves.

Cases are below suites, beside suites, or directly below `<testsuites>` (Node's own runner). A suite that failed as a whole (a before-all
hook, a crash, a file that could not be loaded) becomes a case of its own. Its counters are believed when they say more failures than were
read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.junit import outcome
from harness.text import plain, short

if TYPE_CHECKING:
    from pathlib import Path

    from harness.junit.document import Node
    from harness.junit.outcome import Outcome

WHOLE_SUITE = "(suite)"
"""The name of the case that stands for a suite as a whole."""
NESTED = ("testcase", "testsuite", "testsuites")
LONGEST_NAME = 200
LONGEST_TIME = 1e9
"""Seconds; what is longer was no time."""


@dataclass(frozen=True, slots=True)
class Suite:
    """Where a case stands: the names of the suites around it, from outside to inside, and what else tells suites apart."""

    path: tuple[str, ...] = ()
    package: str = ""
    hostname: str = ""

    @property
    def name(self) -> str:
        """The innermost name there is."""
        return self.path[-1] if self.path else ""


@dataclass(frozen=True, slots=True)
class Case:
    """One `<testcase>`, or a suite as a whole."""

    file: Path
    line: int
    suite: Suite
    classname: str
    name: str
    outcome: Outcome
    seconds: float = 0.0


@dataclass(slots=True)
class Found:
    """What a document holds."""

    cases: list[Case]
    problems: list[str]


def collect(root: Node, file: Path) -> Found:
    """All cases of a document, in its order."""
    found = Found([], [])
    bad = 0
    # By a stack of our own: a file may nest deeper than Python calls. A suite is met again when all in it was, with `bad` as it was before.
    stack: list[tuple[Node, Suite, int | None]] = [(root, Suite(), None)]
    while stack:
        node, around, before = stack.pop()
        if before is not None:
            bad = before + _leave(node, around, found, file, bad - before)
            continue
        inside = around
        if node.kind == "testcase":
            case = _case(node, around, file)
            found.cases.append(case)
            found.problems += [_misunderstood(case, what) for what in case.outcome.unknown]
            bad += case.outcome.bad
        else:
            inside = _suite(node, around)
            stack.append((node, inside, bad))
        stack += [(child, inside, None) for child in reversed(node.nodes()) if child.kind in NESTED]
    return found


def seconds(text: str) -> float:
    """A duration in seconds; 0 for what is none. A comma groups thousands, or is a decimal one where it cannot."""
    text = text.strip()
    if re.fullmatch(r"[1-9]\d{0,2}(,\d{3})+(\.\d+)?", text):
        text = text.replace(",", "")
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        return 0.0
    return value if 0 <= value <= LONGEST_TIME else 0.0


def _suite(node: Node, around: Suite) -> Suite:
    name = _said(node.value("name"))
    # A suite without a name adds nothing to where its cases stand.
    path = (*around.path, name) if name else around.path
    return Suite(path, node.value("package").strip() or around.package, node.value("hostname").strip() or around.hostname)


def _case(node: Node, suite: Suite, file: Path) -> Case:
    name, classname = _said(node.value("name")), _said(node.value("classname")) or _said(node.value("class"))
    return Case(file, node.line, suite, classname, name, outcome.of(node), seconds(node.value("time")))


def _said(name: str) -> str:
    """A name as it is, unless it is blank."""
    return name if name.strip() else ""


def _misunderstood(case: Case, what: str) -> str:
    name = short(plain(case.name), LONGEST_NAME) or "without a name"
    return f"{case.file}, line {case.line}: case {name} says {short(plain(what), LONGEST_NAME)}, which nobody understands"


def _leave(node: Node, suite: Suite, found: Found, file: Path, below: int) -> int:
    """What a suite says of itself; how many failures and errors are in it after that."""
    own = outcome.of_suite(node, failed=below > 0)
    bad = below
    if own is not None:
        found.cases.append(Case(file, node.line, suite, "", WHOLE_SUITE, own))
        bad += own.bad
    failures, errors = _count(node, "failures"), _count(node, "errors")
    # Mocha's own reporter wrote the same number into both for years.
    declared = failures if node.value("name") == "Mocha Tests" and failures == errors else failures + errors
    if declared > bad:
        name = short(plain(node.value("name")), LONGEST_NAME) or f"<{node.tag}>"
        said = f"counts {failures} failure(s) and {errors} error(s), but only {bad} are in it"
        found.problems.append(f"{file}, line {node.line}: {name} {said}")
    return max(declared, bad)


def _count(node: Node, name: str) -> int:
    text = node.value(name).strip().replace(",", "")
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0
