"""A requirement with its tests, or a test with its requirements, in words."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.did_you_mean import named
from harness.errors import UsageError
from harness.identity import TestId
from harness.requirements.model import Check

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.requirements.coverage import Coverage
    from harness.requirements.model import Requirement

WIDTH = 120


@dataclass(frozen=True, slots=True)
class Explainer:
    """Knows every requirement and every test.

    Attributes:
        coverage: which test checks what, and why something has none.
        sentences: per test, its docstring's first line.
        checks: per test, the requirements it names.
    """

    coverage: Coverage
    sentences: Mapping[str, str]
    checks: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, coverage: Coverage, collected: Iterable[Mapping[str, Any]]) -> Explainer:
        """From the coverage and the `collected` events it was measured by."""
        events = {TestId.parse(event["id"]).test: event for event in collected}
        sentences = {test: (event["doc"].splitlines() or [""])[0] for test, event in events.items()}
        return cls(coverage, sentences, {test: tuple(event["requirements"]) for test, event in events.items()})

    def explain(self, name: str) -> str:
        """Explain a requirement id, or a test (`suite::test`, with or without its variant).

        Raises:
            UsageError: there is no such thing; the message says what was perhaps meant.
        """
        known = {one.id: one for document in self.coverage.documents for one in document.requirements()}
        # In capitals, as people type ids in whatever case they like.
        if (found := known.get(name.upper())) is not None:
            return self._requirement(found)
        if name in self.sentences or ("::" in name and (name := TestId.parse(name).test) in self.sentences):
            # An id that no document has is told by `conform requirements`; here it has no sentence.
            asked = [known[one] for one in self.checks[name] if one in known]
            return "\n".join([name, f"  {self.sentences[name]}", "  checks:", *(f"    {one.id} {one.summary}" for one in asked)])
        # The two are told apart by their form, so that a misspelt id is compared with ids only.
        what, names = ("test", list(self.sentences)) if "::" in name else ("requirement", list(known))
        raise UsageError(f"no such {what}: {named([name], names)}")

    def _requirement(self, one: Requirement) -> str:
        document = next(each.name for each in self.coverage.documents if one in each.requirements())
        lines = [f"{one.id} ({one.level}, checked {CHECKED[one.check]}) in {document}: {one.section}", *_folded(one.text)]
        tests = self.coverage.tests.get(one.id)
        reason = self.coverage.reasons.get(one.id)
        if tests:
            lines += ["  tests:", *(f"    {each.test}  {self.sentences[each.test]}".rstrip() for each in tests)]
        elif reason is not None:
            lines += [
                f"  no test in the corpus ({reason.kind}): {reason.reason}",
                *(f"    {each}" for each in reason.tests.get(one.id, ())),
            ]
        else:
            lines.append("  no test in the corpus")
        return "\n".join(lines)


CHECKED = {
    Check.OBSERVABLE: "by the corpus",
    Check.IN_PROCESS: "inside a runtime",
    Check.CLIENT: "by driving a client library",
    Check.ENGINE: "on the distributed engine",
}


def _folded(text: str) -> list[str]:
    """Prose folded; rows of tables and items of lists keep their lines."""
    return [
        folded for line in text.splitlines() for folded in textwrap.wrap(line, WIDTH, initial_indent="  ", subsequent_indent="  ") or [""]
    ]
