"""Frames from bytes: every rule of RFC 6455, section 5, and the same verdicts as another parser."""

from __future__ import annotations

import random

import pytest
from websockets.server import ServerProtocol

from runtime.serving.websocket_frames import PIECE, BrokenFrame, FrameReader, MessageTooLong, PerSecond, close_of, close_payload
from tests.runtime.serving.socket_client import masked


def read(data: bytes, limit: int = 2**20) -> list[tuple[int, bool, bytes]]:
    reader = FrameReader(limit)
    reader.feed(data)
    return list(iter(reader.next, None))


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 70_001])
def test_a_frame_is_read_whole_and_byte_by_byte(size):
    payload = random.Random(size).randbytes(size)
    data = masked(2, payload)
    assert read(data) == [(2, True, payload)]
    reader, parts = FrameReader(2**20), []
    for at in range(0, len(data), 7):
        reader.feed(data[at : at + 7])
        parts += iter(reader.next, None)
    assert b"".join(part for _, _, part in parts) == payload
    assert [ends for _, ends, _ in parts] == [False] * (len(parts) - 1) + [True]


def test_a_large_frame_is_handed_over_in_pieces():
    payload = random.Random(1).randbytes(3 * PIECE + 5)
    data = masked(1, payload) + masked(9, b"after")
    reader = FrameReader(2**20)
    reader.feed(data[: PIECE + 17])
    first = reader.next()
    assert first is not None
    assert first[:2] == (1, False)
    assert reader.next() is None
    reader.feed(data[PIECE + 17 :])
    rest = list(iter(reader.next, None))
    assert [part[:2] for part in rest] == [(0, True), (9, True)]
    assert first[2] + rest[0][2] == payload


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(masked(2, b"x", first=0xC2), id="reserved bit 1"),
        pytest.param(masked(2, b"x", first=0xA2), id="reserved bit 2"),
        pytest.param(masked(2, b"x", first=0x92), id="reserved bit 3"),
        *(pytest.param(masked(opcode, b"x"), id=f"opcode {opcode}") for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)),
        pytest.param(b"\x82\x01x", id="not masked"),
        pytest.param(b"\x81\x00", id="not masked, empty"),
        pytest.param(masked(9, b"x", fin=False), id="fragmented ping"),
        pytest.param(masked(9, b"x" * 126), id="long ping"),
        pytest.param(masked(0, b"x"), id="continuation of nothing"),
        pytest.param(masked(1, b"x", fin=False) + masked(1, b"x"), id="message in a message"),
        pytest.param(b"\x82\xfe\x00\x05" + b"\0" * 9, id="length not minimal, 16 bits"),
        pytest.param(b"\x82\xff" + b"\0" * 6 + b"\xff\xff" + b"\0" * 4, id="length not minimal, 64 bits"),
        pytest.param(b"\x82\xff\x80" + b"\0" * 11, id="length with its highest bit"),
    ],
)
def test_a_broken_rule_is_a_protocol_error(data):
    with pytest.raises(BrokenFrame) as caught:
        read(data, 2**63)
    assert caught.value.code == 1002


def test_the_size_is_known_before_the_payload_is_there():
    with pytest.raises(MessageTooLong):
        read(masked(2, b"x" * 101)[:8], 100)
    with pytest.raises(MessageTooLong):
        read(masked(2, b"x" * 60, fin=False) + masked(0, b"x" * 60)[:6], 100)
    reader = FrameReader(100)
    data = masked(2, b"x" * 1000, fin=False) + masked(0, b"x" * 1000) + masked(9, b"y")
    reader.feed(data[:50])
    with pytest.raises(MessageTooLong):
        reader.next()
    parts = []
    for at in range(50, len(data), 50):
        reader.feed(data[at : at + 50])
        parts += iter(reader.next, None)
    assert parts == [(0, True, b"x" * 1000), (9, True, b"y")]
    assert len(read(masked(2, b"x" * 60, fin=False) + masked(0, b"x" * 40) + masked(2, b"x" * 100), 100)) == 3


@pytest.mark.parametrize(
    "payload", [b"\x03", *(code.to_bytes(2, "big") for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535))]
)
def test_codes_that_no_frame_may_carry(payload):
    with pytest.raises(BrokenFrame) as caught:
        close_of(payload)
    assert caught.value.code == 1002


def test_reasons():
    assert close_of(b"") == (1005, "")
    assert close_of(b"\x03\xe9") == (1001, "")
    assert close_of(close_payload(4999, "x" * 200)) == (4999, "x" * 123)
    assert close_of(close_payload(3000, "é" * 100)) == (3000, "é" * 61)
    with pytest.raises(BrokenFrame) as caught:
        close_of(b"\x03\xe8\xff")
    assert caught.value.code == 1007


def test_random_frames_are_judged_as_another_parser_judges_them():
    """Valid frames, half of them with a changed byte in the head: the same frames before the same end."""
    dice = random.Random(13)
    judged = 0
    for _ in range(400):
        data = b"".join(
            masked(dice.choice((0, 1, 2, 2, 9, 10)), dice.randbytes(dice.choice((0, 1, 5, 125, 126, 300))), fin=dice.random() < 0.7)
            for _ in range(dice.randrange(1, 6))
        )
        if dice.random() < 0.5:
            changed = bytearray(data)
            changed[dice.choice((0, 0, 1))] ^= 1 << dice.randrange(8)
            data = bytes(changed)
        ours, error = [], False
        reader = FrameReader(1000)
        reader.feed(data)
        try:
            ours.extend(iter(reader.next, None))
        except (BrokenFrame, MessageTooLong):
            error = True
        if any(opcode == 8 for opcode, _, _ in ours):
            continue  # what follows a close is not for this parser to judge
        other = ServerProtocol(state=1, max_size=1000)  # type: ignore[arg-type]  # open: no handshake
        other.receive_data(data)
        theirs = [(int(one.opcode), one.fin, bytes(one.data)) for one in other.events_received()]
        judged += error
        # They take lengths that are not minimal, which is the one difference.
        if not (error and other.parser_exc is None):
            assert ours == theirs
            assert error == (other.parser_exc is not None)
    assert judged > 100


def test_so_many_a_second():
    rate = PerSecond(2)
    assert [rate.exceeded(at) for at in (0.0, 0.1, 0.2, 1.1, 1.2, 1.3)] == [False, False, True, False, False, True]
    assert not any(PerSecond(None).exceeded(0) for _ in range(10))
