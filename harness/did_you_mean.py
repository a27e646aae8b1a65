"""What somebody perhaps meant who typed a name that is not there."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

MOST = 3
LIKE = 0.6
"""How alike two names must be, from 0 to 1."""
AS_GOOD = 0.1
"""How much less alike than the best a name may be to be offered beside it."""
MOST_NAMES = 10
"""Comparing with thousands of names takes a while, and nobody reads more hints."""


def named(names: Iterable[str], known: Collection[str]) -> str:
    """The names that are not there, each with what was perhaps meant: `jsno (did you mean json?), morse`."""
    shown = []
    for number, name in enumerate(names):
        close = guesses(name, known) if number < MOST_NAMES else []
        shown.append(f"{name} (did you mean {' or '.join(close)}?)" if close else name)
    return ", ".join(shown)


def guesses(name: str, known: Collection[str]) -> list[str]:
    """The known names that are most like `name`, whatever its case; one that ends in it (`suite::name`) is meant first."""
    # In one order, so that several workers say the same.
    known = sorted(known)
    whole = {one.lower(): one for one in known}
    # Before likeness: whoever leaves out the suite has typed the name itself right.
    ends = [one for one in known if one.lower().endswith(f"::{name.lower()}")]
    close = difflib.get_close_matches(name.lower(), whole, MOST, LIKE)
    like = [difflib.SequenceMatcher(None, name.lower(), one).ratio() for one in close]
    # Only those about as good as the best; three doubtful guesses help less than one good one.
    best = [whole[one] for one, ratio in zip(close, like, strict=True) if ratio > like[0] - AS_GOOD]
    return list(dict.fromkeys([*ends, *best]))[:MOST]
