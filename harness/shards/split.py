"""Shares of one run for several machines: whole suites, balanced by how long they took before.

Suites are not taken apart, so a test's neighbours are the same in every run, and the timing suites of a share still have one worker. The
greedy rule (longest first, to the share with the least) is at most a third worse than the best split; its ties are broken by name and by
number, so every machine comes to the same answer alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

WHOLE = (0, 1)
"""The share of a run that is not shared."""


def parse(text: str, flag: str = "--shard") -> tuple[int, int]:
    """Read `I/N`, which counts from 1, as index (from 0) and count; `flag` is how the option was called.

    Raises:
        UsageError: it is no such share.
    """
    number, slash, count = text.partition("/")
    if not slash or not number.isdecimal() or not count.isdecimal() or not 1 <= int(number) <= int(count):
        # Counted from 1 because it is typed by people: the last of four is 4/4.
        raise UsageError(f"{flag} {text!r}: use I/N with I from 1 to N, such as 1/4")
    return int(number) - 1, int(count)


def share(suites: Iterable[str], together: Iterable[tuple[str, str]], seconds: Mapping[str, float], count: int) -> dict[str, int]:
    """The share (from 0) of each suite.

    Args:
        suites: What is to be shared.
        together: Pairs of suites that must not be parted, such as a suite and the one its prerequisites are in.
        seconds: How long suites took; one that is not there counts as much as the average.
        count: How many shares.
    """
    groups = {suite: {suite} for suite in suites}
    for one, other in together:
        if one in groups and other in groups and groups[one] is not groups[other]:
            groups[one] |= groups[other]
            groups.update(dict.fromkeys(groups[other], groups[one]))
    known = [seconds[suite] for suite in groups if suite in seconds]
    # A new suite is as long as the others: with nothing, all new ones would go into one share.
    average = sum(known) / len(known) if known else 1.0
    weights = {tuple(sorted(group)): sum(seconds.get(suite, average) for suite in sorted(group)) for group in groups.values()}
    loads = [0.0] * count
    place: dict[str, int] = {}
    # The longest first, or a long one that comes last would lie on top of a share that is full already.
    for group, weight in sorted(weights.items(), key=lambda item: (-item[1], item[0])):
        index = loads.index(min(loads))
        loads[index] += weight
        place |= dict.fromkeys(group, index)
    return place
