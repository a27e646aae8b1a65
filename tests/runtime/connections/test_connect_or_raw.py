"""What becomes of an admitted client socket."""

from __future__ import annotations

import asyncio

import pytest

from runtime.actor.connections.connect_or_raw import is_connect, open_socket
from runtime.declaration.actor import Actor
from runtime.declaration.options import Options
from runtime.protocol.connection_frames import decode_to_client
from runtime.protocol.encodings import Encoding
from tests.runtime.connections.fakes import RAW, Owner, Plain, Socket, Table, settle


class Gate(Actor):
    """Refuses, ends or delays a connection, as its parameters say."""

    async def on_connect(self, c, conn):
        if conn.params == "refuse":
            raise ValueError("no")
        if conn.params == "leave":
            conn.removed = True
        if conn.params == "wait":
            await asyncio.sleep(10)


async def opened(socket, actor=Plain):
    owner = Owner(actor)
    table = Table(owner)
    await open_socket(owner, table, socket)
    return table


def params(value):
    return ("rivet", f"rivet_conn_params.%22{value}%22")


def test_only_exactly_connect_is_the_protocol():
    assert is_connect("http://127.0.0.1/connect?a=b")
    assert not is_connect("http://127.0.0.1/connect/")
    assert not is_connect(RAW)


async def test_a_client_gets_init_and_is_attached():
    socket = Socket(protocols=("rivet", "rivet_encoding.cbor"))
    table = await opened(socket)
    assert table.happened == ["enter", "count"]
    assert decode_to_client(socket.sent[0], Encoding.CBOR).connection_id
    assert socket.sink.encoding is Encoding.CBOR


@pytest.mark.parametrize(
    ("protocols", "closes", "failure"),
    [
        (("rivet_encoding.xml",), [(1003, "actor.unsupported_websocket_encoding")], None),
        (("rivet_conn_params.%7B",), [(1011, "guard.websocket_closed_before_open")], "guard.websocket_closed_before_open"),
    ],
)
async def test_what_cannot_be_read_is_closed(protocols, closes, failure):
    socket = Socket(protocols=protocols)
    table = await opened(socket)
    assert (socket.closes, socket.failure, table.happened, socket.sink) == (closes, failure, [], None)


async def test_a_refused_client_learns_why():
    socket = Socket(protocols=params("refuse"))
    await opened(socket, Gate)
    frame = decode_to_client(socket.sent[0], Encoding.JSON)
    assert (frame.action_id, frame.error.code, frame.error.actor) == (None, "internal_error", None)
    assert (socket.closes, socket.sink) == ([(1011, "rivetkit.internal_error")], None)


async def test_a_refused_raw_socket_gets_a_close_and_no_frame():
    socket = Socket(RAW, params("refuse"))
    await opened(socket, Gate)
    assert (socket.sent, socket.closes) == ([], [(1011, "rivetkit.internal_error")])
    socket = Socket(RAW, ("rivet_conn_params.%7B",))
    await opened(socket)
    assert socket.closes == [(1011, "core.internal_error")]


@pytest.mark.parametrize("url", [RAW, "http://127.0.0.1/connect"])
async def test_a_connection_that_its_hook_ended_is_not_attached(url):
    socket = Socket(url, params("leave"))
    await opened(socket, Gate)
    assert (socket.sent, socket.sink) == ([], None)


async def test_a_cancelled_opening_tells_the_client():
    socket = Socket(protocols=params("wait"))
    running = asyncio.create_task(opened(socket, Gate))
    await settle()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert socket.failure == "actor.stopping"


@pytest.mark.parametrize("option", [True, False, lambda request: request.url == RAW])
async def test_the_option_says_which_raw_sockets_hibernate(option):
    socket = Socket(RAW)
    await opened(socket, type("Sleeper", (Actor,), {"options": Options(can_hibernate_web_socket=option)}))
    assert socket.hibernatable is bool(option)


async def test_a_predicate_that_fails_refuses_the_socket():
    socket = Socket(RAW)
    await opened(socket, type("Sleeper", (Actor,), {"options": Options(can_hibernate_web_socket=lambda request: 1 // 0)}))
    assert socket.closes == [(1011, "rivetkit.internal_error")]
