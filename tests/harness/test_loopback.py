"""The balance of bytes between sockets of one process."""

from __future__ import annotations

import socket

from harness.session.loopback import CountedSocket, Loopback

NEAR, FAR = ("127.0.0.1", 1111), ("127.0.0.1", 2222)


def both_open() -> Loopback:
    loopback = Loopback()
    loopback.opened(NEAR, FAR)
    loopback.opened(FAR, NEAR)
    return loopback


def test_bytes_are_under_way_until_received():
    loopback = both_open()
    loopback.sent(NEAR, FAR, 10)
    assert loopback.busy
    loopback.received(FAR, NEAR, 4)
    assert loopback.busy
    loopback.received(FAR, NEAR, 6)
    assert not loopback.busy


def test_directions_are_counted_apart():
    loopback = both_open()
    loopback.sent(NEAR, FAR, 10)
    loopback.received(NEAR, FAR, 10)
    assert loopback.busy


def test_bytes_for_a_closed_or_foreign_end_do_not_count():
    loopback = both_open()
    loopback.sent(NEAR, FAR, 10)
    loopback.closed(FAR, NEAR)
    assert not loopback.busy
    loopback.sent(NEAR, FAR, 1)
    assert not loopback.busy
    loopback.sent(NEAR, ("192.0.2.1", 80), 5)
    assert not loopback.busy


def test_forgiving_does_not_unbalance():
    loopback = both_open()
    loopback.sent(NEAR, FAR, 10)
    loopback.forgive()
    assert not loopback.busy
    loopback.received(FAR, NEAR, 5)
    assert loopback.busy
    loopback.received(FAR, NEAR, 5)
    assert not loopback.busy


def test_counted_sockets_balance_over_a_real_connection():
    loopback = Loopback()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        loopback.listen(listener)
        client = CountedSocket.adopt(socket.create_connection(listener.getsockname()), loopback)
        client.send(b"early")
        assert loopback.busy, "sent to a listening port, not accepted yet"
        server = CountedSocket.adopt(listener.accept()[0], loopback)
    server.setblocking(True)
    client.setblocking(True)
    assert server.recv(100) == b"early"
    assert not loopback.busy
    client.close()
    assert loopback.busy, "the end of the stream is under way"
    assert server.recv(100) == b""
    assert not loopback.busy
    server.close()
    assert not loopback.busy


def test_other_sockets_are_left_alone():
    near, far = socket.socketpair()
    with near, far:
        assert CountedSocket.adopt(near, Loopback()) is near
