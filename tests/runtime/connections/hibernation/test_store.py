"""What of the connections is written with the next save, and what is acknowledged after it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from runtime.actor.connections.connection import Conn
from runtime.actor.connections.hibernation.store import ACK_DELAY, ConnStore
from runtime.actor.connections.hibernation.watermark import FORCED_ACK_BYTES, Watermark
from runtime.protocol.values import UNDEFINED
from tests.runtime.connections.fakes import Socket


class Saves:
    """A store, and the saves that it asked for, in seconds."""

    def __init__(self):
        self.asked = []
        self.told = []
        self.store = ConnStore(self.asked.append, lambda: self.told.append(1))

    def rows(self):
        return [(type(op).__name__, op.table) for op in self.store.collect()]


def linked(conn_id="c1"):
    conn = Conn(None, conn_id, hibernatable=True)
    conn.link = SimpleNamespace(socket=Socket(), watermark=Watermark())
    return conn


BOTH = [("Put", "conn"), ("Put", "conn_state")]


def test_the_first_save_writes_both_rows_and_later_ones_what_changes():
    saves, conn = Saves(), linked()
    saves.store.changed(conn)
    assert (saves.asked, saves.told, saves.rows()) == ([None], [1], BOTH)
    saves.store.settled(True)
    assert saves.rows() == []
    saves.store.changed(conn)
    assert saves.rows() == [("Put", "conn_state")]


def test_only_hibernatable_connections_are_written_but_all_are_told():
    saves = Saves()
    saves.store.changed(Conn(None, "c1"))
    assert (saves.asked, saves.told, saves.rows()) == ([], [1], [])


def test_a_message_is_acknowledged_once_it_is_durable():
    saves, conn = Saves(), linked()
    saves.store.settle(conn, 1, 10)
    saves.store.settle(conn, 2, 10)
    saves.store.collect()
    saves.store.settle(conn, 3, 10)
    assert conn.link.socket.acknowledged == []
    saves.store.settled(True)
    assert (conn.link.socket.acknowledged, conn.link.watermark.unacknowledged) == ([2], 10)
    assert saves.asked == [ACK_DELAY, ACK_DELAY]


def test_a_gap_moves_nothing_and_many_bytes_are_saved_at_once():
    saves, conn = Saves(), linked()
    saves.store.settle(conn, 2, 10)
    assert saves.asked == []
    saves.store.settle(conn, 1, FORCED_ACK_BYTES)
    assert saves.asked == [0.0]


def test_after_a_failed_save_everything_is_written_again():
    saves, conn, gone = Saves(), linked(), linked("c2")
    for each in (conn, gone):
        saves.store.changed(each)
    saves.store.collect()
    saves.store.settled(True)
    saves.store.changed(conn)
    gone.removed = True
    saves.store.removed(gone)
    assert saves.rows() == [("Delete", "conn"), ("Delete", "conn_state"), ("Put", "conn_state")]
    saves.store.settled(False)
    assert (conn.link.socket.acknowledged, saves.rows()) == ([0], [("Delete", "conn"), ("Delete", "conn_state"), *BOTH])


def test_removal_wins_and_needs_a_record():
    saves, conn = Saves(), linked()
    saves.store.changed(conn)
    conn.removed = True
    saves.store.removed(conn)
    assert saves.rows() == []
    saves.store.forget("broken")
    assert saves.rows() == [("Delete", "conn"), ("Delete", "conn_state")]


@pytest.mark.parametrize("act", ["changed", "settle"])
def test_after_the_end_nothing_is_marked(act):
    saves, conn = Saves(), linked()
    saves.store.close()
    if act == "changed":
        saves.store.changed(conn)
    else:
        saves.store.settle(conn, 1, 1)
    assert saves.rows() == []


def test_a_connection_that_has_no_row_keeps_no_other_from_being_written():
    saves = Saves()
    reported = []
    saves.store = ConnStore(saves.asked.append, cannot_write=lambda conn_id, error: reported.append(conn_id))
    bad, good = linked("bad"), linked("good")
    bad.adopt({"who": "\udce9"}, UNDEFINED)
    for conn in (bad, good):
        saves.store.settle(conn, 1, 10)
    assert saves.rows() == BOTH
    saves.store.settled(True)
    assert (reported, good.link.socket.acknowledged, bad.link.socket.acknowledged) == (["bad"], [1], [])
    # Nor is it forgotten: once it can be written it is, and only then acknowledged.
    bad.adopt({"who": "me"}, UNDEFINED)
    assert saves.rows() == BOTH
    saves.store.settled(True)
    assert bad.link.socket.acknowledged == [1]
