"""What an actor knows of client sockets."""

from __future__ import annotations

import pytest

from runtime.actor.connections.sockets import byte_size
from tests.runtime.connections.fakes import Socket


@pytest.mark.parametrize(("data", "size"), [("", 0), ("abc", 3), ("é€", 5), (b"\xff\xff", 2)])
def test_sizes_are_bytes(data, size):
    assert byte_size(data) == size


def test_the_first_entry_with_a_prefix_counts():
    upgrade = Socket(protocols=("rivet", "rivet_encoding.cbor", "rivet_encoding.json")).upgrade
    assert upgrade.protocol_value("rivet_encoding.") == "cbor"
    assert upgrade.protocol_value("rivet_conn_params.") is None
