"""`on_disconnect`: as work of the actor, after the setup, within its limit."""

from __future__ import annotations

import asyncio

from runtime.actor.connections.connection import Conn
from runtime.actor.connections.disconnect import DisconnectHook
from runtime.actor.lifecycle.tracked_work import WorkKind
from runtime.declaration.actor import Actor
from tests.runtime.connections.fakes import Owner, Plain, settle


class Hooked(Actor):
    """Counts its disconnects; fails for the connection named `bad`."""

    def on_disconnect(self, c, conn):
        assert c.conn is conn
        self.gone = [*getattr(self, "gone", []), conn.id]
        if conn.id == "bad":
            raise ValueError("no")


async def test_it_counts_as_work_and_waits_for_the_setup():
    owner = Owner(Hooked)
    hook, conn = DisconnectHook(owner), Conn(None, "c1")
    setup = asyncio.get_running_loop().create_future()
    conn.begin_setup(setup)
    hook.start(conn)
    await settle()
    assert owner.work.count(WorkKind.DISCONNECT_CALLBACK) == 1
    assert not hasattr(owner.definition.instance, "gone")
    setup.set_result(True)
    await settle()
    assert (owner.definition.instance.gone, owner.work.count(WorkKind.DISCONNECT_CALLBACK)) == (["c1"], 0)


async def test_a_refused_connection_gets_none():
    owner = Owner(Hooked)
    conn = Conn(None, "c1")
    setup = asyncio.get_running_loop().create_future()
    setup.set_result(False)
    conn.begin_setup(setup)
    DisconnectHook(owner).start(conn)
    await settle()
    assert not hasattr(owner.definition.instance, "gone")


async def test_a_failure_is_only_told():
    assert await DisconnectHook(Owner(Hooked)).run(Conn(None, "bad")) is False
    assert await DisconnectHook(Owner(Plain)).run(Conn(None, "c1")) is True


async def test_in_grace_the_stop_is_the_limit():
    owner = Owner(Hooked)
    hook = DisconnectHook(owner)
    await hook.run(Conn(None, "c1"))
    assert owner.limits == {"onDisconnect": owner.options.on_connect_timeout}
    hook.in_grace = True
    await hook.run(Conn(None, "c1"))
    assert owner.limits == {"onDisconnect": None}
