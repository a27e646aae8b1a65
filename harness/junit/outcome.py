"""What one element says of the outcome of a test, in the words of many tools.

Tools say it by child elements (`<failure>`, `<skipped>`, `<disabled>`, `<flakyFailure>`), by words in attributes (`status="notrun"`), or by
flags (`executed="False"`). All of it is read, and the worst counts. A word that nobody knows is told, so that it cannot pass for a pass.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from harness.events.verdict import Verdict
from harness.junit.document import Node, word
from harness.junit.words import ALARMING, FLAGS, HARMLESS_CHILDREN, MARKS, MEANING, NO, TEXT_ATTRIBUTES, WORD_ATTRIBUTES, YES
from harness.requirements.sets import Standing

RANK = (
    Verdict.PASS,
    Verdict.FLAKY,
    Verdict.SKIP,
    Verdict.BLOCKED,
    Verdict.INCONCLUSIVE,
    Verdict.FAIL,
    Verdict.ERROR,
    Verdict.NOT_RUN,
)
"""From best to worst."""
OURS = {str(one): one for one in (Verdict.INCONCLUSIVE, Verdict.BLOCKED, Verdict.NOT_RUN)}
"""Verdicts that JUnit does not know; our own files say them by the type of a failure or error."""
ATTEMPTS = ("flakyfailure", "flakyerror", "rerunfailure", "rerunerror", "rerun", "retry", "retried")
MOST_ATTEMPTS = 1_000_000
STANDING = "conform.standing"
"""The property by which our own files say that a test decides nothing."""
PROBLEM = "conform.problem"
"""The type of an error by which our own files say what kept the run from being complete."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an element says.

    Attributes:
        verdict: the worst of all that is said.
        message: the first line of the worst.
        detail: the texts of all that is bad.
        attempts: how often the test was tried.
        bad: how many failures and errors there are, as counters count them.
        unknown: what was not understood.
        standing: how much the test says, as our own files note it.
        problem: the text of a problem that our own files tell in this way.
    """

    verdict: Verdict = Verdict.PASS
    message: str = ""
    detail: str = ""
    attempts: int = 1
    bad: int = 0
    unknown: tuple[str, ...] = ()
    problem: str | None = None
    standing: Standing = Standing.DECIDES


@dataclass(slots=True)
class _Said:
    found: list[tuple[Verdict, str, str]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def word(self, name: str, value: str) -> None:
        if (verdict := MEANING.get(word(value))) is not None:
            self.found.append((verdict, f"{name}={value}" if verdict is not Verdict.PASS else "", ""))
        elif value.strip():
            self.unknown.append(f'{name}="{value}"')


def of(case: Node) -> Outcome:
    """What a `<testcase>` says."""
    said = _Said()
    _children(case, said)
    _attributes(case, said)
    for child in case.nodes():
        # Refused rather than ignored: a child that nobody knows may be how a tool says that the test failed.
        if child.kind not in MEANING and child.kind not in HARMLESS_CHILDREN:
            said.unknown.append(f"<{child.tag}>")
    # Ours come back as they were: a problem that is read as a failing test would be excused by an entry.
    if (problem := next((child for child in case.nodes() if child.value("type") == PROBLEM), None)) is not None:
        return Outcome(Verdict.ERROR, bad=1, problem=_text(problem) or problem.value("message"))
    verdict, message, detail = _worst(said.found)
    return Outcome(verdict, message, detail, _attempts(case), _bad(case, verdict), tuple(said.unknown), standing=_standing(case))


def of_suite(suite: Node, *, failed: bool) -> Outcome | None:
    """What a suite says of itself as a whole, beside what its cases say; None when that is nothing.

    Args:
        suite: The `<testsuite>`.
        failed: Whether something in it failed; then it is no news that its attributes say so, too.
    """
    said = _Said()
    _children(suite, said)
    for name in WORD_ATTRIBUTES:
        verdict = MEANING.get(word(suite.value(name)), Verdict.PASS)
        if not failed and not _good(verdict):
            said.found.append((verdict, f"{name}={suite.value(name)}", ""))
    verdict, message, detail = _worst(said.found)
    if verdict is Verdict.PASS:
        return None
    return Outcome(verdict, message, detail, bad=_bad(suite, verdict))


def _good(verdict: Verdict) -> bool:
    """Whether no counter of failures or errors counts it."""
    return verdict in (Verdict.PASS, Verdict.SKIP, Verdict.FLAKY)


def _bad(node: Node, verdict: Verdict) -> int:
    # Some tools count assertions: a case may hold several failures.
    return max(sum(child.kind in ("failure", "error") for child in node.nodes()), not _good(verdict))


def _children(node: Node, said: _Said) -> None:
    for child in node.nodes():
        if child.kind in MEANING and child.kind not in HARMLESS_CHILDREN:
            verdict = MEANING[child.kind]
            if verdict in (Verdict.FAIL, Verdict.ERROR):
                # Only below a failure or an error: the type of another element means something else.
                verdict = OURS.get(child.value("type"), verdict)
            text = _text(child)
            lines = text.strip().splitlines()
            said.found.append((verdict, child.value("message") or (lines[0] if lines else ""), text))


def _attributes(case: Node, said: _Said) -> None:
    for name, value in case.items():
        plain, lower = word(name), value.strip().lower()
        if plain in WORD_ATTRIBUTES:
            said.word(name, value)
        elif plain in FLAGS:
            if lower in NO and lower:
                said.found.append((FLAGS[plain], f"{name}={value}", ""))
            elif lower not in YES and lower:
                said.word(name, value)
        elif plain in MARKS:
            if lower not in NO:
                said.found.append((MEANING[plain], value if lower not in YES else name, ""))
        elif plain not in TEXT_ATTRIBUTES and word(value) in ALARMING:
            said.unknown.append(f'{name}="{value}"')


def _worst(found: list[tuple[Verdict, str, str]]) -> tuple[Verdict, str, str]:
    if not found:
        return Verdict.PASS, "", ""
    # The first of equals, and of these one with something to say.
    verdict = max((one for one, _, _ in found), key=RANK.index)
    message = next((text for one, text, _ in found if one is verdict and text), "")
    if verdict is Verdict.FLAKY:
        message = [text for one, text, _ in found if one is verdict][-1]
    details = [text for one, _, text in found if text.strip() and (one is verdict or not _good(one))]
    return verdict, message, "\n\n".join(details)


def _text(node: Node) -> str:
    return "".join(node.itertext())


def _standing(case: Node) -> Standing:
    said = [one.value("value").strip() for one in case.iter() if isinstance(one, Node) and one.value("name") == STANDING]
    return Standing(said[0]) if said and said[0] in list(Standing) else Standing.DECIDES


def _attempts(case: Node) -> int:
    counted = [one.value("value").strip() for one in case.iter() if isinstance(one, Node) and one.value("name") == "attempts"]
    if counted and re.fullmatch(r"[0-9]{1,7}", counted[0]):
        return max(1, min(int(counted[0]), MOST_ATTEMPTS))
    return 1 + sum(child.kind in ATTEMPTS for child in case.nodes())
