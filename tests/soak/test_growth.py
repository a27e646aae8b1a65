"""Nothing grows: neither memory, nor the objects of any type, nor threads, files and disk, whatever the host is asked to do.

Memory is what is held after a collection: the bytes that code of C and Python have asked for and not given back. Resident memory is looked
at, too, with an allocator that keeps nothing free (`keep_nothing_free`): by itself it keeps the most that each of its heaps ever held, one
for each of a dozen threads, and grows for 20 hours, by 8 MiB, while what is held stays the same; then it has seen the most of each.
`docs/reference/soak.md` has the measurement.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from harness.session.virtual_loop import VirtualLoop
from runtime.hosting.standalone.listener.gateway_routing import MAX_CACHED
from tests.serving.memory import keep_nothing_free
from tests.soak.mixed_life import live, silent

if TYPE_CHECKING:
    from pathlib import Path

    from tests.soak import Record
    from tests.soak.mixed_life import Reading

BOUNDED = {
    # Python's sqlite3 keeps references to the last 200 cursors of each connection.
    "weakref.ReferenceType": 200 * 8,
    # Python keeps the parts of the last URLs.
    "urllib.parse.SplitResult": 128,
    # Of paths that were asked for.
    "runtime.protocol.gateway_url.DirectRoute": MAX_CACHED,
}
"""Types of which there may be more later, because something keeps so many on purpose."""


def grown(first: Reading, last: Reading, slack: int) -> dict[str, tuple[int, int]]:
    """Types of which there are more than 5 % and `slack` more, beside what is bounded."""
    return {
        name: (first.types[name], count)
        for name, count in last.types.items()
        if count > first.types[name] * 1.05 + slack + BOUNDED.get(name, 0)
    }  # fmt: skip


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_day_of_mixed_life_leaves_nothing_behind(tmp_path: Path, record_property: Record) -> None:
    keep_nothing_free()
    with silent(), asyncio.Runner(loop_factory=VirtualLoop) as runner:
        life, readings = runner.run(live(tmp_path / "data", parts=24, rounds=4, scale=20, length=3600.0))
    first, last, operations = readings[0], readings[-1], sum(life.operations.values())
    held = [one.held + one.small for one in (first, last)]
    kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(life.operations.items()))
    figures = (
        f"24 hours in virtual time, {operations} operations ({kinds}); hour 1 and hour 24 after collection: memory in use"
        f" {held[0] / 2**20:.1f} and {held[1] / 2**20:.1f} MiB ({held[1] / held[0] - 1:+.1%}), RSS {first.rss / 2**20:.1f} and"
        f" {last.rss / 2**20:.1f} MiB ({last.rss / first.rss - 1:+.1%}), blocks of Python's memory {first.blocks} and {last.blocks}"
        f" ({last.blocks / first.blocks - 1:+.1%}), generations awake {first.tasks} and {last.tasks}, threads {first.threads} and"
        f" {last.threads}, open files {first.files} and {last.files}, data directory {first.disk / 2**20:.1f} and"
        f" {last.disk / 2**20:.1f} MiB; types that grew: {grown(first, last, 50) or 'none'}"
    )
    record_property("figures", figures)
    print(figures, *life.errors.most_common(), *readings, sep="\n")
    assert operations >= 200_000
    assert grown(first, last, 50) == {}
    assert (last.tasks, first.tasks) == (0, 0)
    assert held[1] <= held[0] * 1.05
    assert last.rss <= first.rss * 1.05
    assert last.blocks <= first.blocks * 1.05
    assert last.threads <= first.threads + 2
    assert last.files <= first.files + 4


def test_a_few_minutes_of_mixed_life_leave_nothing_behind(tmp_path: Path) -> None:
    with silent(), asyncio.Runner(loop_factory=VirtualLoop) as runner:
        life, (first, _, last) = runner.run(live(tmp_path / "data", parts=3, rounds=1, scale=4, length=400.0))
    assert sum(life.operations.values()) > 500
    assert grown(first, last, 20) == {}
    # Other tests of this process may have left some.
    assert last.tasks == first.tasks
