"""The measuring part of `python -m bench databases`: the figures are there, and nothing is left open."""

from __future__ import annotations

import threading

from bench import databases


async def test_each_kind_of_statement_is_compared_in_neighbouring_rounds(monkeypatch):
    monkeypatch.setattr(databases, "CROWD", 3)
    steps: list[int] = []
    figures = await databases.measure(2, 16, lambda: steps.append(1))
    assert len(steps) == 8
    assert [name for name in figures if name.endswith("ratio")] == ["read_ratio", "write_ratio", "crowd_read_ratio", "crowd_write_ratio"]
    assert all(figures[name] > 0 for name in figures)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPoolExecutor") and thread.is_alive()]
