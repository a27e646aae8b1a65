"""The difference between two runs, test by test."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.events.verdict import Verdict

if TYPE_CHECKING:
    from harness.events.results import RunReport
    from harness.identity import TestId

_BETTER = (Verdict.PASS, Verdict.SKIP, Verdict.FLAKY, Verdict.INCONCLUSIVE)
"""From good to bad; all others are equally bad. From pass to skip is a loss too: something is not checked any more."""


@dataclass(frozen=True, slots=True)
class Change:
    """One test whose verdict differs; None where it does not occur."""

    id: TestId
    before: Verdict | None
    after: Verdict | None
    message: str = ""

    def __str__(self) -> str:
        text = f"{self.id}: {self.before or 'absent'} -> {self.after or 'absent'}"
        return f"{text}: {self.message}" if self.message else text


@dataclass(slots=True)
class Comparison:
    """Changes by what they mean."""

    broken: list[Change] = field(default_factory=list)
    fixed: list[Change] = field(default_factory=list)
    added: list[Change] = field(default_factory=list)
    vanished: list[Change] = field(default_factory=list)
    other: list[Change] = field(default_factory=list)

    @property
    def worse(self) -> bool:
        """Whether something that was good is not any more."""
        # A new test that fails has broken nothing, but a run with it is worse than one without.
        return bool(self.broken or self.vanished) or any(one.after not in (Verdict.PASS, Verdict.SKIP) for one in self.added)

    def groups(self) -> list[tuple[str, list[Change]]]:
        """The groups that are not empty, the worst first."""
        names = ("broken", "vanished", "fixed", "added", "other")
        return [(name, getattr(self, name)) for name in names if getattr(self, name)]


def compare(before: RunReport, after: RunReport) -> Comparison:
    """Compare by test id."""
    old = {result.id: result for result in before.results}
    new = {result.id: result for result in after.results}
    found = Comparison()
    for name in sorted(old.keys() | new.keys()):
        then, now = old.get(name), new.get(name)
        if then is None and now is not None:
            found.added.append(Change(name, None, now.verdict, now.message))
        elif then is not None and now is None:
            found.vanished.append(Change(name, then.verdict, None))
        elif then is not None and now is not None and then.verdict != now.verdict:
            change = Change(name, then.verdict, now.verdict, now.message)
            # Whatever it was before: from skip to pass something is checked that was not.
            if now.verdict is Verdict.PASS:
                found.fixed.append(change)
            elif _rank(now.verdict) > _rank(then.verdict):
                found.broken.append(change)
            else:
                found.other.append(change)
    return found


def _rank(verdict: Verdict) -> int:
    return _BETTER.index(verdict) if verdict in _BETTER else len(_BETTER)
