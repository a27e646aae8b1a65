"""Records and sockets that a new generation finds."""

from __future__ import annotations

import pytest

from runtime.actor.connections.hibernation import records
from runtime.actor.connections.hibernation.records import ConnRecord
from runtime.actor.connections.raw.close_ack import CloseInitiator, CloseOutcome
from runtime.actor.connections.restore import Restore
from runtime.declaration.actor import Actor
from runtime.http import Request
from tests.runtime.connections.fakes import CONNECT, RAW, Owner, Socket, Table, settle


class Hooked(Actor):
    """Counts its disconnects."""

    def on_disconnect(self, c, conn):
        self.gone = [*getattr(self, "gone", []), (conn.id, conn.state)]


class Found:
    """What a generation starts with: one record of `url`, and these sockets."""

    def __init__(self, url, *sockets):
        self.owner = Owner(Hooked)
        self.table = Table(self.owner)
        self.listed = []
        self.table.enter_restored = self.listed.append
        record = ConnRecord("c1", None, {"a": 1}, ("news",), b"gate", b"sock", 7, Request("GET", url, {"x": "y"}))
        rows = {op.table: [(op.key, op.value)] for op in (records.put_fixed(record), records.put_changing(record))}
        self.restore = Restore(self.owner, self.table)
        self.restore.load(rows, sockets)

    @property
    def gone(self):
        return getattr(self.owner.definition.instance, "gone", [])


@pytest.mark.parametrize("url", [CONNECT, RAW])
async def test_a_client_that_waits_is_listed_first_and_attached_later(url):
    socket = Socket(url)
    found = Found(url, socket)
    (conn,) = found.listed
    assert (conn.id, conn.state, conn.subscriptions, conn.is_hibernatable) == ("c1", {"a": 1}, {"news"}, True)
    assert (socket.restored_as.url, dict(socket.restored_as.headers), socket.sink) == (url, {"x": "y"}, None)
    found.restore.resume()
    assert (socket.sink, socket.watermark, socket.sent) == (conn.link, 7, [])
    found.restore.resume()
    assert found.gone == []


async def test_a_socket_without_a_record_is_closed():
    stranger = Socket(request_id=b"else")
    Found(CONNECT, Socket(), stranger)
    assert stranger.closes == [(1000, "ws.meta_not_found_during_restore")]


async def test_a_client_that_is_gone_is_disconnected_after_the_startup_hooks():
    found = Found(CONNECT)
    await settle()
    assert (found.listed, found.gone) == ([], [])
    found.restore.resume()
    await settle()
    assert found.gone == [("c1", {"a": 1})]
    assert [op.table for op in found.table.store.collect()] == ["conn", "conn_state"]


async def test_a_raw_client_that_is_gone_has_its_close_cycle():
    found = Found(RAW)
    found.restore.resume()
    await settle()
    (ack,) = found.table.acks
    assert (ack.initiator, ack.outcome, ack.reason) == (CloseInitiator.STALE, CloseOutcome.UNDELIVERED, "ws.stale_metadata")
    assert len(found.gone) == 1


async def test_a_client_that_left_during_the_startup_hooks_counts_as_gone():
    socket = Socket()
    found = Found(CONNECT, socket)
    socket.closes.append((1000, ""))
    found.restore.resume()
    await settle()
    assert (socket.sink, found.table.happened[-1], len(found.gone)) == (None, "leave", 1)


async def test_what_a_startup_hook_disconnected_is_not_attached():
    socket = Socket()
    found = Found(CONNECT, socket)
    found.listed[0].removed = True
    found.restore.resume()
    assert socket.sink is None


async def test_a_socket_that_cannot_be_attached_again_is_lost():
    socket = Socket(protocols=("rivet_encoding.xml",))
    found = Found(CONNECT, socket)
    assert (socket.closes, found.listed) == ([(1011, "ws.restore_error")], [])
    found.restore.resume()
    await settle()
    assert len(found.gone) == 1


async def test_half_a_record_is_dropped():
    found = Found(CONNECT)
    found.restore.load({"conn": [(b"c2", b"\xf6")]}, [])
    assert {op.key for op in found.table.store.collect()} == {b"c1", b"c2"}
