"""`c.conns`."""

from __future__ import annotations

import pytest

from runtime.actor.connections.listing import ConnsView


@pytest.mark.parametrize("way", ["__iter__", "keys", "values", "items"])
def test_iterating_sees_a_snapshot(way):
    conns = {"a": 1, "b": 2}
    view = ConnsView(conns)
    for _ in getattr(view, way)():
        conns.clear()
    assert (len(view), list(view)) == (0, [])


def test_it_is_a_mapping_that_cannot_be_written():
    view = ConnsView({"a": 1})
    assert (view["a"], view.get("b"), "a" in view, dict(view)) == (1, None, True, {"a": 1})
    assert not hasattr(view, "__setitem__")
