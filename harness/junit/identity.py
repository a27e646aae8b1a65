"""From cases to test ids that stay the same from run to run.

The suite of a test is the class name of its case, or the name of the suite around it. Where that is not enough, the names of the suites
around it come first; then all cases of the class are called so, whichever of them are alike.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from harness.identity import TestId

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.junit.cases import Case, Suite

# In brackets, which no identifier has, so that it meets no real name.
NAMELESS = "(unnamed)"


def identify(cases: Sequence[Case]) -> list[TestId]:
    """The id of each case, in their order."""
    names = _names(cases)
    groups: dict[str, list[int]] = {}
    for place, case in enumerate(cases):
        groups.setdefault(_owner(case), []).append(place)
    ids: dict[int, TestId] = {}
    for owner, places in groups.items():
        label = _label([cases[place] for place in places], [names[place] for place in places])
        arounds = {place: label(cases[place]) for place in places}
        # What is around a case often ends with its class already; said once is enough, unless that makes two suites one.
        once = {around: _within(around, owner) for around in arounds.values()}
        suites = once if len(set(once.values())) == len(once) else {around: f"{around}/{owner}" for around in once}
        for place, around in arounds.items():
            ids[place] = TestId.of(suites[around], names[place])
    return [ids[place] for place in range(len(cases))]


def _within(around: str, owner: str) -> str:
    if not around:
        return owner
    return around if f"/{around}".endswith(f"/{owner}") else f"{around}/{owner}"


def _owner(case: Case) -> str:
    return case.classname or case.suite.name or NAMELESS


def _names(cases: Sequence[Case]) -> list[str]:
    """The names; those that have none are counted, per class."""
    counted: Counter[str] = Counter()
    names = []
    for case in cases:
        name = case.name
        if not name:
            counted[_owner(case)] += 1
            number = counted[_owner(case)]
            name = NAMELESS if number == 1 else f"{NAMELESS[:-1]} {number})"
        names.append(name)
    return names


def _label(cases: Sequence[Case], names: Sequence[str]) -> Callable[[Case], str]:
    """What of the suites around tells cases of one class apart: nothing when their names do; else the least that does best."""
    # Machines have names that change; only where one file has several (Playwright calls its projects so) do they mean something.
    hosts: dict[object, set[str]] = {}
    for case in cases:
        hosts.setdefault(case.file, set()).add(case.suite.hostname)

    def host(case: Case) -> str:
        return case.suite.hostname if len(hosts[case.file]) > 1 else ""

    ways: tuple[Callable[[Case], str], ...] = (
        lambda case: "",  # noqa: ARG005 -- one of several
        lambda case: _path(case.suite),
        lambda case: _path(case.suite, case.suite.package),
        lambda case: _path(case.suite, case.suite.package, host(case)),
    )
    # The first of equals: the least that tells most cases apart makes the most stable ids.
    return max(ways, key=lambda way: len({(way(case), name) for case, name in zip(cases, names, strict=True)}))


def _path(suite: Suite, *more: str) -> str:
    return "/".join([*(one for one in reversed(more) if one), *suite.path])
