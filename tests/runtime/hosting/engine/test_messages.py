"""The frames of an envoy connection, byte by byte as a real engine sent and took them (ENGINE section 16)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.hosting.engine.protocol import lives, messages, pages, tunnel
from runtime.hosting.engine.protocol.types import DATA, U32, record
from runtime.protocol.decode_errors import DecodeError

ACTOR = "0123456789abcdefghijklmnopqrst"
ID = "1e" + ACTOR.encode().hex()


def checkpoint(generation: int, index: int) -> lives.Checkpoint:
    return lives.Checkpoint(ACTOR, generation, index)


GATEWAY, REQUEST = bytes.fromhex("ea0fc678"), bytes.fromhex("e4517a2e")
FROM_ENGINE = {
    "init": ("00 983a000000000000 40771b0000000000 0000400100000000", messages.Init(15_000, 1_800_000, 20_971_520)),
    "ping": ("05 a7475906a2010000", messages.Ping(1795402844071)),
    "start": (
        f"01 01 {ID} 01000000 0100000000000000 00 03 616374 01 02 6b31 3b745806a2010000 01 05 68656c6c6f 00 00",
        messages.Commands((lives.Command(checkpoint(1, 1), lives.Start(lives.ActorConfig("act", "k1", 1795402789947, b"hello"), ())),)),
    ),
    "stop": (
        f"01 01 {ID} 01000000 0200000000000000 01 00",
        messages.Commands((lives.Command(checkpoint(1, 2), lives.Stop(lives.Reason.SLEEP_INTENT)),)),
    ),
    "destroy": (
        f"01 01 {ID} 02000000 0200000000000000 01 02",
        messages.Commands((lives.Command(checkpoint(2, 2), lives.Stop(lives.Reason.DESTROY)),)),
    ),
    "message": (
        "04 ea0fc678e4517a2e 0100 04 02 6869 00",
        tunnel.TunnelMessage(tunnel.MessageId(GATEWAY, REQUEST, 1), tunnel.SocketMessage(b"hi", binary=False)),
    ),
    "close": (
        "04 ea0fc678e4517a2e 0300 05 01 e803 01 00",
        tunnel.TunnelMessage(tunnel.MessageId(GATEWAY, REQUEST, 3), tunnel.ClientClose(1000, "")),
    ),
    "kv written": ("03 00000000 03", messages.KvResponse(0, messages.KvWritten())),
    "refused": (
        "06 06000000 01 04636f7265 0e696e7465726e616c5f6572726f72 146163746f7220646f6573206e6f74206578697374",
        messages.PagesResponse(6, pages.Refused("core", "internal_error", "actor does not exist")),
    ),
}
TO_ENGINE = {
    "pong": ("04 d810a11fa2010000", messages.Pong(1795826979032)),
    "metadata": (
        "00 01 01 03 616374 02 7b7d 01 0c 7b2270726f6265223a20317d",
        messages.Metadata({"act": messages.ActorName("{}")}, '{"probe": 1}'),
    ),
    "ack": ("02 01 0161 01000000 0200000000000000", messages.AckCommands((lives.Checkpoint("a", 1, 2),))),
    "running": (
        f"01 01 {ID} 01000000 0000000000000000 01 00",
        messages.Events((lives.Event(checkpoint(1, 0), lives.StateEvent(lives.Running())),)),
    ),
    "sleep": (
        f"01 01 {ID} 01000000 0100000000000000 00 00",
        messages.Events((lives.Event(checkpoint(1, 1), lives.IntentEvent(lives.SleepIntent())),)),
    ),
    "stopped": (
        f"01 01 {ID} 01000000 0200000000000000 01 01 00 00",
        messages.Events((lives.Event(checkpoint(1, 2), lives.StateEvent(lives.Stopped(lives.StopCode.OK))),)),
    ),
    "socket ack": (
        "06 3d1ed112 11c2f7b4 0200 05 0100",
        tunnel.TunnelMessage(tunnel.MessageId(bytes.fromhex("3d1ed112"), bytes.fromhex("11c2f7b4"), 2), tunnel.SocketAck(1)),
    ),
    "socket taken": (
        "06 ea0fc678e4517a2e 0000 03 00",
        tunnel.TunnelMessage(tunnel.MessageId(GATEWAY, REQUEST, 0), tunnel.SocketOpened(can_hibernate=False)),
    ),
    "kv put": (
        f"05 {ID} 00000000 02 02 0161 0162 02 0131 00",
        messages.KvRequest(ACTOR, 0, messages.KvPut((b"a", b"b"), (b"1", b""))),
    ),
}


@pytest.mark.parametrize("name", FROM_ENGINE)
def test_what_the_engine_sends_is_read(name: str) -> None:
    frame, message = FROM_ENGINE[name]
    assert messages.decode(bytes.fromhex(frame)) == message


@pytest.mark.parametrize("name", TO_ENGINE)
def test_what_the_engine_takes_is_written(name: str) -> None:
    frame, message = TO_ENGINE[name]
    assert messages.encode(message).hex() == frame.replace(" ", "")


@pytest.mark.parametrize("name", FROM_ENGINE)
def test_every_cut_of_a_frame_is_refused(name: str) -> None:
    frame = bytes.fromhex(FROM_ENGINE[name][0])
    for end in range(len(frame)):
        with pytest.raises(DecodeError):
            messages.decode(frame[:end])
    with pytest.raises(DecodeError):
        messages.decode(frame + b"\x00")


@given(st.binary(max_size=80))
def test_noise_is_a_message_or_refused(frame: bytes) -> None:
    try:
        message = messages.decode(frame)
    except DecodeError:
        return
    assert messages.TO_ENVOY.encode(message) == frame


def test_a_description_that_orders_fields_otherwise_than_its_class_is_refused() -> None:
    with pytest.raises(TypeError):
        record(pages.Page, data=DATA, number=U32)
