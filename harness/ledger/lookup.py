"""Which entries of a ledger are about a test, in a time that does not grow with the number of entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.identity import TestId
    from harness.ledger.model import Entry


class Lookup:
    """The entries by what they begin with.

    An entry of one test is found by its name, a pattern by its text before the first star: of each length of such a text that occurs, one
    look-up decides. Only what is found there is compared in full.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        """Index the entries, keeping their order."""
        self._tests: dict[str, list[tuple[int, Entry]]] = {}
        self._beginnings: dict[str, list[tuple[int, Entry]]] = {}
        for number, entry in enumerate(entries):
            if entry.test is not None:
                # Literal entries apart from patterns: in a ledger of thousands they are nearly all, and one look-up each.
                self._tests.setdefault(entry.test, []).append((number, entry))
            else:
                self._beginnings.setdefault(str(entry.match).partition("*")[0], []).append((number, entry))
        self._lengths = sorted({len(beginning) for beginning in self._beginnings})

    def of(self, test: TestId) -> list[Entry]:
        """The entries about this test, in their order; more than one is a fault of the ledger."""
        found = self._tests.get(test.test, [])
        if self._lengths:
            text = str(test)
            found = [*found, *(one for length in self._lengths for one in self._beginnings.get(text[:length], ()))]
        # In the order of the file, so that a finding names overlapping entries as their author reads them.
        fitting = [(number, entry) for number, entry in found if entry.matches(test)]
        return [entry for _, entry in sorted(fitting, key=lambda one: one[0])]
