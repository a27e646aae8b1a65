"""Timing tests prove that they hit the window they are about."""

from __future__ import annotations

from harness.errors import HarnessError, Inconclusive


class Witness:
    """Counts, per named window, how often it was tried and hit."""

    def __init__(self) -> None:
        self.windows: dict[str, tuple[int, int]] = {}

    def hit(self, window: str, hit: bool = True) -> bool:
        """Record one try at `window`; returns `hit`.

        A test that would pass although some window was never hit gets the verdict *inconclusive*.
        """
        hits, tries = self.windows.get(window, (0, 0))
        self.windows[window] = (hits + bool(hit), tries + 1)
        return hit

    def check(self) -> None:
        """Called when the test is about to pass.

        Raises:
            Inconclusive: a window was tried and never hit.
            HarnessError: no window was ever tried.
        """
        if not self.windows:
            raise HarnessError("the test asked for `witness` and tried no window: nothing shows that it hit one")
        missed = [f"{window} (0 of {tries})" for window, (hits, tries) in self.windows.items() if not hits]
        if missed:
            raise Inconclusive(f"the test never hit: {', '.join(missed)}")
