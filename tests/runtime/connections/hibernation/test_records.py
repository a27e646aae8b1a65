"""The rows of a hibernatable connection."""

from __future__ import annotations

import pytest

from runtime.actor.connections.hibernation import records
from runtime.actor.connections.hibernation.records import ConnRecord
from runtime.errors import ActorError
from runtime.http import Request
from runtime.protocol.values import UNDEFINED
from tests.runtime.connections.fakes import CONNECT

REQUEST = Request("GET", CONNECT, {"a": "b"})


def record(conn_id="c1", **more):
    values = {"params": {"a": 1}, "state": UNDEFINED, "subscriptions": ("x", "y"), "gateway_id": b"gate", "request_id": b"sock"}
    return ConnRecord(conn_id, **{**values, "index": 7, "request": REQUEST, **more})


def stored(*ops):
    rows = {}
    for op in ops:
        rows.setdefault(op.table, []).append((op.key, op.value))
    return rows


def test_what_is_written_is_read():
    one = record()
    (found,), broken = records.load(stored(records.put_fixed(one), records.put_changing(one)))
    assert (found.conn_id, found.params, found.state, found.index, broken) == ("c1", {"a": 1}, UNDEFINED, 7, [])
    assert (found.request.url, dict(found.request.headers), sorted(found.subscriptions)) == (CONNECT, {"a": "b"}, ["x", "y"])


def test_half_a_record_counts_as_gone():
    found, broken = records.load(stored(records.put_fixed(record("fixed")), records.put_changing(record("changing"))))
    assert (found, sorted(broken)) == ([], ["changing", "fixed"])


def test_a_record_that_cannot_be_decoded_counts_as_gone():
    one = record()
    rows = stored(records.put_fixed(one), records.put_changing(one))
    rows["conn_state"] = [(b"c1", b"\xff")]
    assert records.load(rows) == ([], ["c1"])


def test_ids_have_four_bytes():
    with pytest.raises(ActorError, match="gatewayId must be exactly 4 bytes, got 3"):
        record(gateway_id=b"abc")


def test_both_rows_are_deleted():
    assert [op.table for op in records.delete("c1")] == ["conn", "conn_state"]
