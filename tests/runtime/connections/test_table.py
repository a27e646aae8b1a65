"""The list of connections through the life of a generation."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from runtime.actor.connections.raw.close_ack import CloseInitiator, CloseLedger
from runtime.actor.connections.table import ConnectionTable
from runtime.actor.ports import StopKind
from runtime.declaration.actor import Actor
from runtime.declaration.options import Options
from tests.runtime.connections.fakes import RAW, Owner, Plain, Socket, settle


class Hooked(Actor):
    """Counts its disconnects; its raw sockets hibernate if their path says so."""

    options = Options(can_hibernate_web_socket=lambda request: "sleeper" in request.url)

    def on_disconnect(self, c, conn):
        gone.append(conn.id)


gone = []


class TaskLike(Owner):
    """What the table asks of its actor beyond what its parts ask."""

    def __init__(self, actor=Plain):
        super().__init__(actor)
        gone.clear()
        self.close_acks = CloseLedger()
        self.host = SimpleNamespace(
            close_acks=self.close_acks, options=SimpleNamespace(max_incoming_message_size=1000, max_outgoing_message_size=1000)
        )
        self.saves, self.sources, self.changes = [], [], []
        self.saver = SimpleNamespace(request=lambda max_wait: self.saves.append(max_wait), add_source=self.sources.append)
        self.state = SimpleNamespace(before_change=lambda: None)
        self.sleep_requested = self.destroy_requested = False
        self.changed = self.changes.append


async def opened(actor=Hooked, *urls):
    owner = TaskLike(actor)
    table = ConnectionTable(owner)
    sockets = [Socket(url) if url else Socket() for url in urls]
    for socket in sockets:
        await table.open_socket(socket)
    return owner, table, sockets


async def test_a_connection_is_counted_as_long_as_it_lives():
    owner, table, (socket,) = await opened(Plain, "")
    assert owner.sources == [table.store]
    (conn,) = table.view.values()
    assert (len(table), owner.metrics.connections, owner.metrics.connections_total) == (1, 1, 1)
    conn.disconnect("out")
    conn.disconnect("again")
    assert (len(table), owner.metrics.connections, socket.closes[0]) == (0, 0, (1000, "out"))


async def test_every_connection_ends_with_one_hook():
    _, table, _ = await opened()
    async with table.transient() as conn:
        conn.disconnect()
        conn.disconnect()
    await settle()
    assert gone == [conn.id]


async def test_a_sleep_keeps_what_hibernates():
    owner, table, (client, raw, sleeper) = await opened(Hooked, "", RAW, RAW + "sleeper")
    async with table.transient() as call:
        table.begin_stop(StopKind.SLEEP)
        await settle()
        assert gone == [call.id]
    assert table.deferring
    assert table.close_raw_sockets()
    await settle()
    assert (raw.closes, len(gone), len(table)) == ([(1000, "actor.stopped")], 2, 2)
    assert not table.close_raw_sockets()
    table.freeze()
    await table.end_generation()
    assert [socket.rests for socket in (client, raw, sleeper)] == [["hibernate", "rest"], [], ["hibernate", "rest"]]
    assert (client.closes, sleeper.closes, owner.metrics.connections) == ([], [], 0)


async def test_a_destroy_closes_everything():
    owner, table, (client, sleeper) = await opened(Hooked, "", RAW + "sleeper")
    table.begin_stop(StopKind.DESTROY)
    assert not table.deferring
    table.close_raw_sockets()
    await settle()
    await table.end_generation()
    assert (client.closes, sleeper.closes, gone) == ([(1000, "actor.stopped")], [(1000, "actor.stopped")], [])
    assert [ack.initiator for ack in owner.close_acks.all("actor1")] == [CloseInitiator.STOP]


async def test_cycles_that_did_not_end_are_aborted_before_the_final_save():
    owner, table, _ = await opened(Hooked, RAW)
    table.begin_stop(StopKind.SLEEP)
    table.freeze()
    assert [ack.outcome for ack in owner.close_acks.all("actor1")] == ["aborted"]
    await settle()


async def test_after_the_end_nothing_reaches_anybody():
    owner, table, (client,) = await opened(Plain, "")
    (conn,) = table.view.values()
    table.events.subscribe(conn, "news")
    table.broadcast("news", [])
    before = len(client.sent)
    await table.end_generation()
    table.broadcast("news", [])
    conn.send("news")
    conn.disconnect()
    assert (len(client.sent), owner.metrics.connections) == (before, 0)


@pytest.mark.parametrize(
    ("sleep", "destroy", "deferring"), [(False, False, False), (True, False, True), (True, True, False), (False, True, False)]
)
async def test_who_asked_to_sleep_defers_actions(sleep, destroy, deferring):
    owner, table, _ = await opened(Plain)
    owner.sleep_requested, owner.destroy_requested = sleep, destroy
    assert table.deferring is deferring


async def test_state_of_a_connection_is_saved():
    owner, table, _ = await opened(Plain, "")
    (conn,) = table.view.values()
    owner.saves.clear()
    conn.state = {"a": 1}
    conn.state["b"] = 2
    assert (conn.state, owner.saves) == ({"a": 1, "b": 2}, [None, None])


async def test_a_socket_counts_from_its_setup_to_its_end_and_a_call_does_not():
    owner, table, _ = await opened(Hooked, "", RAW)
    lives = owner.metrics.active
    async with table.transient():
        assert lives["websocket_lifetime"] == 2
    next(iter(table.view.values())).disconnect()
    assert (lives["websocket_lifetime"], sum(owner.metrics.durations["websocket_lifetime"].counts)) == (1, 1)
    await table.end_generation()
    assert (lives["websocket_lifetime"], sum(owner.metrics.durations["websocket_lifetime"].counts)) == (0, 2)
