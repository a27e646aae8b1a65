"""Timing tests prove that they hit the window they are about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.errors import HarnessError, Inconclusive

if TYPE_CHECKING:
    from collections.abc import Mapping

NO_WINDOW = (
    "the test is one of a moment, and nothing shows that it met it: no latch, no witness, no state that was seen before the test went on "
    "(a test about no moment is @untimed; see docs/how-to/test-a-moment.md)"
)


class Witness:
    """Counts, per named window, how often it was tried and hit.

    Attributes:
        windows: hits and tries by name, what the harness saw by itself (`harness.session.windows`) among them.
        asked: whether the test has the fixture `witness`, and so says itself what its windows are.
    """

    def __init__(self) -> None:
        """Nothing was tried yet."""
        self.windows: dict[str, tuple[int, int]] = {}
        self.asked = False

    def hit(self, window: str, hit: bool = True) -> bool:
        """Record one try at `window`; returns `hit`.

        A test that would pass although some window was never hit gets the verdict *inconclusive*.
        """
        # Tries as well as hits: "3 of 200" tells how far a test is from its window, and a ledger of flakes can use it.
        hits, tries = self.windows.get(window, (0, 0))
        self.windows[window] = (hits + bool(hit), tries + 1)
        return hit

    def check(self, observed: Mapping[str, int], *, needed: bool) -> None:
        """Called when the test is about to pass.

        Args:
            observed: How often the harness itself saw which windows.
            needed: Whether the test is about a moment, so that without any window it shows nothing.

        Raises:
            Inconclusive: a window was tried and never hit, or one is needed and there is none.
            HarnessError: the test asked for `witness` and never used it.
        """
        # Its own error and not inconclusive: a fixture that is asked for and not used is a slip of the test, on every target.
        if self.asked and not self.windows:
            raise HarnessError("the test asked for `witness` and tried no window: nothing shows that it hit one")
        # Before the observed ones are added: what the harness saw by itself does not make up for a window that the test named.
        missed = [f"{window} (0 of {tries})" for window, (hits, tries) in self.windows.items() if not hits]
        for window, hits in observed.items():
            self.windows.setdefault(window, (hits, hits))
        if missed:
            raise Inconclusive(f"the test never hit: {', '.join(missed)}")
        if needed and not self.windows:
            raise Inconclusive(NO_WINDOW)
