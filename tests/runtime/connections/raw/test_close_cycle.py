"""The close cycle: listeners, then `on_disconnect`, then one acknowledgement."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from runtime.actor.connections.connection import Conn
from runtime.actor.connections.raw.close_ack import CloseInitiator, CloseOutcome
from runtime.actor.connections.raw.close_cycle import CloseCycle
from runtime.actor.connections.raw.socket import CloseEvent
from runtime.declaration.actor import Actor
from tests.runtime.connections.fakes import Owner, Table, settle


class Hooked(Actor):
    """Notes its disconnects among what listeners note."""

    def on_disconnect(self, c, conn):
        steps.append("hook")
        if conn.id == "bad":
            raise ValueError("no")


steps = []


def cycle(*listeners, conn_id="c1", **more):
    steps.clear()
    table = Table(owner := Owner(Hooked))
    socket = SimpleNamespace(listeners=lambda kind: listeners)
    made = CloseCycle(
        owner, table, Conn(table, conn_id), more.pop("socket", socket),
        initiator=CloseInitiator.CLIENT, event=CloseEvent(3001, "x"), code=3001, reason="x", **more,
    )  # fmt: skip
    made.start()
    return made, table, owner


async def slow(event):
    await asyncio.sleep(0)
    steps.append(f"slow {event.code}")


async def test_the_hook_runs_when_all_listeners_are_done():
    made, table, _ = cycle(slow, lambda event: steps.append("plain"))
    assert table.cycles == {made}
    ack = await made.done
    assert (steps, table.cycles, table.acks) == (["plain", "slow 3001", "hook"], set(), [ack])
    assert (ack.outcome, ack.listeners, ack.failures, ack.was_clean, ack.generation) == (CloseOutcome.SETTLED, 2, 0, False, 1)


async def broken(event):
    raise ValueError("no")


@pytest.mark.parametrize(("listeners", "conn_id", "failures"), [((broken, lambda _: 1 // 0, slow), "c1", 2), ((), "bad", 1)])
async def test_failures_are_counted_and_stop_nothing(listeners, conn_id, failures):
    ack = await cycle(*listeners, conn_id=conn_id)[0].done
    assert (steps[-1], ack.outcome, ack.failures) == ("hook", CloseOutcome.FAILED, failures)


async def test_without_a_socket_it_ends_undelivered():
    ack = await cycle(slow, socket=None)[0].done
    assert (steps, ack.outcome, ack.listeners) == (["hook"], CloseOutcome.UNDELIVERED, 0)


async def test_the_hook_may_be_left_out():
    await cycle(slow, disconnect=False)[0].done
    assert steps == ["slow 3001"]


async def test_an_abort_is_the_last_word():
    made, table, owner = cycle(slow)
    made.abort()
    await settle()
    assert ([ack.outcome for ack in table.acks], table.cycles) == ([CloseOutcome.ABORTED], set())

    async def endless(event):
        await asyncio.sleep(100)

    made, table, owner = cycle(endless)
    await settle()
    owner.work.cancel_all()
    assert (await made.done).outcome is CloseOutcome.ABORTED


async def test_without_room_for_work_it_is_aborted_at_once():
    owner = Owner(Hooked)
    owner.work.close()
    table = Table(owner)
    made = CloseCycle(
        owner, table, Conn(table, "c1"), None, initiator=CloseInitiator.STOP, event=CloseEvent(1000, ""), code=1000, reason=""
    )
    made.start()
    assert table.acks[0].outcome is CloseOutcome.ABORTED
