"""The setup pipeline: order of the steps, what each hook sees, what a failure leaves behind."""

from __future__ import annotations

import asyncio

import pytest

from runtime.actor.connections.connection import Conn
from runtime.declaration.actor import Actor
from runtime.declaration.options import Options
from runtime.errors import ActorError
from runtime.http import Request
from tests.runtime.connections.fakes import CONNECT, Owner, Plain, Table, settle

REQUEST = Request("GET", CONNECT, {})


class Hooked(Actor):
    """Notes what each hook got; refuses in the hook that the parameters name."""

    options = Options(on_connect_timeout=0.02)

    def on_before_connect(self, c, params):
        self.seen = [("before", c.conn, c.request)]
        if params == "before":
            raise ValueError("no")

    def create_conn_state(self, c, params):
        self.seen.append(("state", c.conn, c.request))
        return {"from": params}

    async def on_connect(self, c, conn):
        self.seen.append(("connect", c.conn, c.request))
        if conn.params == "connect":
            raise ValueError("no")
        if conn.params == "slow":
            await asyncio.sleep(10)
        if conn.params == "own":
            raise TimeoutError("of the hook")


def make(actor, **more):
    owner = Owner(actor)
    table = Table(owner)
    return owner, table, Conn(table, "c1", **more)


async def test_hooks_run_in_order_and_the_connection_is_listed_before_the_last():
    owner, table, conn = make(Hooked)
    await table.setup.run(conn, "ok", REQUEST)
    assert owner.definition.instance.seen == [("before", None, REQUEST), ("state", None, REQUEST), ("connect", conn, REQUEST)]
    assert table.happened == ["initial state", "enter", "count"]
    assert (conn.params, conn.state) == ("ok", {"from": "ok"})
    assert owner.limits == {"onBeforeConnect": 5.0, "createConnState": 5.0, "onConnect": 0.02}
    assert await conn.setup_done()


@pytest.mark.parametrize(("step", "left"), [("before", []), ("connect", ["initial state", "enter", "leave"])])
async def test_a_refused_connection_is_not_listed(step, left):
    _, table, conn = make(Hooked)
    with pytest.raises(ValueError, match="no"):
        await table.setup.run(conn, step, REQUEST)
    assert table.happened == left
    # Whoever waits for the outcome of `on_connect` learns that it failed.
    assert await conn.setup_done() is (step == "before")


async def test_the_steps_of_connect_have_one_limit():
    _, table, conn = make(Hooked)
    with pytest.raises(ActorError, match="connection setup timed out after 20 ms"):
        await table.setup.run_client(conn, "slow", REQUEST)
    assert table.happened[-1] == "leave"
    _, table, conn = make(Hooked)
    with pytest.raises(TimeoutError, match="of the hook"):
        await table.setup.run_client(conn, "own", REQUEST)


async def test_a_cancelled_setup_tells_who_waits():
    _, table, conn = make(Hooked)
    running = asyncio.create_task(table.setup.run(conn, "slow", REQUEST))
    await settle()
    waiting = asyncio.create_task(conn.setup_done())
    running.cancel()
    assert await waiting is False


async def test_parameters_that_no_record_can_hold_are_refused_at_once():
    class Checked(Actor):
        conn_params = set[object]

    _, table, conn = make(Checked, hibernatable=True)
    with pytest.raises((ValueError, TypeError)):
        await table.setup.run(conn, [b"a", object()], REQUEST)
    assert table.happened == []


def plain_is(actor):
    async def found():
        return Owner(actor), Table(Owner(actor)).setup.plain

    return asyncio.run(found())[1]


def test_plain_means_nothing_to_run():
    assert plain_is(Plain)
    assert not plain_is(Hooked)
    assert not plain_is(type("Stateful", (Actor,), {"conn_state": {}}))
    assert not plain_is(type("Checked", (Actor,), {"conn_params": int}))
