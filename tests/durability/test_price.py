"""What it costs to outlive a power cut, measured side by side."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from runtime.storage.base import Put
from runtime.storage.sqlite import SQLiteStorage

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.storage.sqlite import Synchronous
    from tests.soak import Record

ROUNDS = 5
SECONDS = 0.5


async def rate(storage: SQLiteStorage, callers: int) -> float:
    """Acknowledged commits per second, two rows each."""
    done, ends = 0, time.monotonic() + SECONDS

    async def commit(caller: int) -> None:
        nonlocal done
        while time.monotonic() < ends:
            number = done.to_bytes(8, "big")
            await storage.commit(f"c{caller}", [Put("state", b"k", number), Put("log", number, number)])
            done += 1

    await asyncio.gather(*map(commit, range(callers)))
    return done / SECONDS


@pytest.mark.soak
@pytest.mark.timeout(120)
async def test_the_price_of_full(tmp_path: Path, record_property: Record) -> None:
    """`synchronous="full"` beside `"normal"`, in turns: the ratio of the rates, by the median of the rounds."""
    kinds: tuple[Synchronous, ...] = ("normal", "full")
    storages = {kind: SQLiteStorage(tmp_path / kind, synchronous=kind) for kind in kinds}
    for storage in storages.values():
        await storage.open()
    figures = []
    for callers in (1, 32, 256):
        ratios = []
        for _ in range(ROUNDS):
            normal, full = [await rate(storages[kind], callers) for kind in kinds]
            ratios.append((normal / full, normal, full))
        ratio, normal, full = sorted(ratios)[ROUNDS // 2]
        figures.append(f"{callers}: {normal:,.0f}/s against {full:,.0f}/s, {ratio:.1f} times")
    for storage in storages.values():
        await storage.close()
    record_property("figures", "commits with normal against full, callers: " + "; ".join(figures))
