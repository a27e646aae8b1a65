"""What a WebSocket of the server checks before the application hears of it."""

import pytest

from runtime.serving.websocket_protocol import CheckedTextProtocol


@pytest.mark.parametrize(("frames", "fits"), [([b"\xc3\xbc"], True), ([b"\xc3", b"\xbc"], True), ([b"\xc3"], False)])
def test_text_is_checked_as_a_whole_message(frames, fits):
    socket = CheckedTextProtocol.__new__(CheckedTextProtocol)
    socket.frames = frames
    assert socket._is_utf8() is fits
