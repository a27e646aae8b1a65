"""The connection around one call over HTTP."""

from __future__ import annotations

import pytest

from runtime.actor.connections.transient import Transient
from runtime.declaration.actor import Actor
from tests.runtime.connections.fakes import Owner, Plain, Table


class Refusing(Actor):
    """Lets nobody in whose parameters are true."""

    def on_connect(self, c, conn):
        if conn.params:
            raise ValueError("no")


async def test_without_hooks_nothing_is_set_up():
    table = Table(Owner(Plain))
    async with Transient(table, None, None) as conn:
        assert table.happened == ["enter_plain"]
        assert not conn.is_hibernatable
    assert table.happened == ["enter_plain", "leave_and_disconnect"]


async def test_the_connection_ends_with_the_call_however_it_ends():
    table = Table(Owner(Refusing))
    with pytest.raises(KeyError):
        async with Transient(table, False, None):
            raise KeyError
    assert table.happened == ["enter", "count", "leave_and_disconnect"]


async def test_a_refused_call_has_nothing_to_leave():
    table = Table(Owner(Refusing))
    with pytest.raises(ValueError, match="no"):
        async with Transient(table, True, None):
            raise AssertionError("entered")
    assert "leave_and_disconnect" not in table.happened
