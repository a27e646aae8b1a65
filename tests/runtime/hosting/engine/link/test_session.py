"""One connection over a socket that only pretends."""

from __future__ import annotations

import pytest

from runtime.hosting.engine.link.session import Session


class Pretender:
    """A socket with these frames; a transport that notes whether it was cut."""

    def __init__(self, *frames):
        self.frames = frames
        self.cut = 0
        self.close_code, self.close_reason = 1011, "ws.timed_out#ray"
        self.transport = self

    def abort(self):
        self.cut += 1

    async def wait_closed(self):
        assert self.cut

    async def __aiter__(self):
        for frame in self.frames:
            yield frame


class Listening:
    """A conversation that notes what it takes, and is `old` from then on."""

    idle = True

    def __init__(self, old_after=100):
        self.taken = []
        self.old_after = old_after

    def connected(self, now):
        pass

    def next_frame(self):
        return None

    def silent(self, now):
        return len(self.taken) >= self.old_after

    def receive(self, frame, now):
        if frame == b"fault":
            raise ZeroDivisionError
        self.taken.append(frame)


async def test_frames_are_taken_texts_are_not():
    socket, conversation = Pretender(b"1", "text", b"2"), Listening()
    farewell = await Session(socket, conversation).run()
    assert conversation.taken == [b"1", b"2"]
    assert str(farewell) == "ws.timed_out (1011)"


async def test_what_is_read_after_a_pause_of_this_process_is_left():
    socket, conversation = Pretender(b"1", b"2", b"3"), Listening(old_after=1)
    farewell = await Session(socket, conversation).run()
    assert conversation.taken == [b"1"]
    assert str(farewell) == "no ping for too long"


async def test_a_connection_that_fails_here_is_closed():
    socket = Pretender(b"fault")
    with pytest.raises(ZeroDivisionError):
        await Session(socket, Listening()).run()
    assert socket.cut
