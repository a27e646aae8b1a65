"""One inspector socket from its opening to its end."""

import asyncio

import pytest

from runtime.inspector import messages as m
from runtime.inspector.socket import open_inspector
from runtime.inspector.versions import MESSAGES
from tests.runtime.inspector.fake_actor import FakeActor, Socket, settled


@pytest.mark.parametrize(
    ("query", "token", "why"),
    [("protocol_version=7", "secret", "invalid_protocol_version"), ("protocol_version=6", "no", "unauthorized")],
)
async def test_a_socket_that_may_not_inspect_is_told_why(query, token, why):
    actor, socket = FakeActor(), Socket(query, f"rivet_inspector_token.{token}")
    await open_inspector(actor, socket)
    assert [reason for _, reason in socket.closed] == [f"inspector.{why}"]
    assert actor.adopted == []


async def test_a_socket_gets_init_first_and_answers_in_order():
    actor, socket = FakeActor(state=1), Socket("protocol_version=6", "rivet_inspector_token.secret")
    await open_inspector(actor, socket)
    await asyncio.sleep(0)
    socket.sink.on_message(1, bytes([99]))
    socket.sink.on_message(2, "text")
    await settled()
    assert [MESSAGES[6][tag] for tag in socket.sent] == [m.Init, m.Error, m.Error]
    socket.sink.on_close(1000, "")
    await actor.adopted[0]
    assert actor.observer is None
    assert socket.closed == [(1000, "actor.stopped")]


async def test_a_socket_whose_first_message_fails_is_closed():
    actor, socket = FakeActor(), Socket("protocol_version=6", "rivet_inspector_token.secret")
    actor.definition.inspector_tabs = None
    await open_inspector(actor, socket)
    await actor.adopted[0]
    assert socket.closed[0] == (1011, "inspector.init_error")
