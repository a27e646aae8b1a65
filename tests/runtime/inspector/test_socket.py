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


async def test_a_socket_that_cannot_be_served_any_more_is_closed_as_a_failure():
    actor, socket = FakeActor(state=1), Socket("protocol_version=6", "rivet_inspector_token.secret")
    await open_inspector(actor, socket)
    await settled()
    sent, socket.send = socket.sent, None
    socket.sink.on_message(1, bytes([99]))
    await actor.adopted[0]
    assert len(sent) == 1
    assert socket.closed[0] == (1011, "core.internal_error")
    assert actor.observer is None


async def test_a_failure_whose_text_is_no_unicode_is_answered(monkeypatch):
    async def failing(view, request):
        raise OSError("caf\udce9")

    monkeypatch.setattr("runtime.inspector.socket.answer", failing)
    actor, socket = FakeActor(state=1), Socket("protocol_version=6", "rivet_inspector_token.secret")
    await open_inspector(actor, socket)
    await settled()
    socket.sink.on_message(1, bytes([1, 7]))
    socket.sink.on_message(2, bytes([1, 8]))
    await settled()
    assert [MESSAGES[6][tag] for tag in socket.sent] == [m.Init, m.Error, m.Error]


@pytest.mark.parametrize(("count", "size"), [(16, 1), (1, 256 * 1024)])
async def test_an_inspector_that_asks_too_much_is_not_read(count, size):
    actor, socket = FakeActor(state=1), Socket("protocol_version=6", "rivet_inspector_token.secret")
    await open_inspector(actor, socket)
    await asyncio.sleep(0)
    for index in range(count):
        assert not socket.held
        socket.sink.on_message(index, bytes([99]) * size)
    assert socket.held
    await settled()
    assert not socket.held
    assert [MESSAGES[6][tag] for tag in socket.sent] == [m.Init] + [m.Error] * count
    socket.sink.on_close(1000, "")
    await actor.adopted[0]
