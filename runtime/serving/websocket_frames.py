"""Frames of a client, from the bytes it sent (RFC 6455, section 5), and what one second may bring of them.

Why not the parser of `websockets`, which answers the handshake here: it takes a whole chunk of the network in one go, and 256 KiB hold
43,000 frames, which is more than half a second of everybody's time. This one gives one frame at a time, and a large one in pieces as it
arrives, so whoever asks decides how many make a turn, and nothing is held twice.
"""

from __future__ import annotations

import codecs
import struct
from typing import TYPE_CHECKING, Final

from websockets.frames import Close

from runtime.errors import make_error

try:
    from websockets.speedups import apply_mask
except ImportError:
    from websockets.utils import apply_mask

if TYPE_CHECKING:
    from collections.abc import Callable

CONTINUATION: Final = 0
TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

MAX_CONTROL_BYTES = 125
PIECE = 64 * 1024
"""From how many bytes on what is there of a frame is handed over before its rest. A multiple of the mask's four bytes."""

_ENDLESS = 1 << 64

BAD_DATA = 1007
PROTOCOL_ERROR = 1002


class BrokenFrame(Exception):
    """A rule of the RFC is broken: the socket has to close with this code and reason."""

    def __init__(self, reason: str, code: int = PROTOCOL_ERROR) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class MessageTooLong(Exception):
    """A message is, or will be, over the limit."""


class Flooded(Exception):
    """More frames than anybody needs."""


class FrameReader:
    """The frames in a stream of bytes; `limit` is the size of a message in bytes, all its frames together."""

    __slots__ = ("_at", "_data", "_fragmented", "_limit", "_pending", "_size", "_skipped")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._data: bytes | bytearray = b""
        self._at = 0
        self._fragmented = False
        self._size = 0
        # Of a frame that is handed over in pieces: whether it ends its message, what is missing, its mask.
        self._pending: tuple[bool, int, bytes] | None = None
        self._skipped = 0

    def feed(self, data: bytes) -> None:
        """Take what the network brought."""
        if self._at == len(self._data):
            # The common case, a frame that came alone, is never copied.
            self._data = data
        else:
            if self._at or isinstance(self._data, bytes):
                self._data = bytearray(memoryview(self._data)[self._at :])
            self._data += data
        self._at = 0

    def next(self) -> tuple[int, bool, bytes] | None:
        """Opcode, whether the message ends, and payload of the next frame, or of a piece of one; None until more is fed.

        Raises:
            BrokenFrame: A rule is broken.
            MessageTooLong: The message is over the limit; known from the head, before the payload is there. Raised once: frames that
                follow, of this message or others, are given without a limit, and the payload of this one is left out.
        """
        if self._skipped and not self._skip():
            return None
        if self._pending is not None:
            return self._piece(*self._pending)
        data, at = self._data, self._at
        there = len(data) - at
        if there < 2:
            return None
        first, second = data[at], data[at + 1]
        opcode, ends, size = first & 0x0F, first >= 0x80, second & 0x7F
        self._check(first, second)
        start = at + 2
        if size > MAX_CONTROL_BYTES:
            width = 2 if size == 126 else 8
            if there < 2 + width:
                return None
            size = int.from_bytes(data[start : start + width], "big")
            if size < (126 if width == 2 else 0x10000) or size >> 63:
                raise BrokenFrame("a length is not written as it must be")
            start += width
        payload_at = start + 4
        if opcode <= BINARY and self._size + size > self._limit:
            self._fragmented = not ends
            self._limit = _ENDLESS
            self._at, self._skipped = at, payload_at - at + size
            raise MessageTooLong
        missing = payload_at + size - len(data)
        if missing > 0 and (size - missing < PIECE or opcode > BINARY):
            return None
        mask = bytes(data[start:payload_at])
        self._at = payload_at
        if opcode > BINARY:
            return opcode, True, self._payload(size, mask)
        self._size = 0 if ends else self._size + size
        self._fragmented = not ends
        if missing > 0:
            # What follows continues the message, whatever this frame began it as.
            return opcode, False, self._begin(ends, size, mask)
        return opcode, ends, self._payload(size, mask)

    def _skip(self) -> bool:
        size = min(self._skipped, len(self._data) - self._at)
        self._at += size
        self._skipped -= size
        return not self._skipped

    def _check(self, first: int, second: int) -> None:
        opcode = first & 0x0F
        if first & 0x70:
            raise BrokenFrame("reserved bits must be 0")
        if second < 0x80:
            raise BrokenFrame("a client must mask its frames")
        if opcode <= BINARY:
            if (opcode == CONTINUATION) is not self._fragmented:
                raise BrokenFrame("a message inside of another" if self._fragmented else "a continuation of nothing")
        elif not CLOSE <= opcode <= PONG:
            raise BrokenFrame("unknown opcode")
        elif first < 0x80:
            raise BrokenFrame("a control frame must not be fragmented")
        elif second & 0x7F > MAX_CONTROL_BYTES:
            raise BrokenFrame("a control frame is too long")

    def _payload(self, size: int, mask: bytes) -> bytes:
        at = self._at
        self._at = at + size
        return apply_mask(self._data[at : at + size], mask) if size else b""

    def _piece(self, ends: bool, missing: int, mask: bytes) -> tuple[int, bool, bytes] | None:
        there = len(self._data) - self._at
        if there >= missing:
            self._pending = None
            return CONTINUATION, ends, self._payload(missing, mask)
        if there < PIECE:
            return None
        return CONTINUATION, False, self._begin(ends, missing, mask)

    def _begin(self, ends: bool, missing: int, mask: bytes) -> bytes:
        # Whole masks only, so that the rest begins with the first byte of the mask again.
        size = (len(self._data) - self._at) & ~3
        self._pending = ends, missing - size, mask
        return self._payload(size, mask)


def frame(opcode: int, payload: bytes) -> bytes:
    """A frame of a server: whole and not masked."""
    size = len(payload)
    if size <= MAX_CONTROL_BYTES:
        return bytes((0x80 | opcode, size)) + payload
    head = struct.pack("!BBH", 0x80 | opcode, 126, size) if size < 0x10000 else struct.pack("!BBQ", 0x80 | opcode, 127, size)
    return head + payload


def close_payload(code: int, reason: str) -> bytes:
    """The payload of a close frame; a reason is cut to what fits.

    Raises:
        ProtocolError: No frame may carry this code.
    """
    return Close(code, reason.encode()[: MAX_CONTROL_BYTES - 2].decode(errors="ignore")).serialize()


def close_of(payload: bytes) -> tuple[int, str]:
    """Code and reason that a client closes with; 1005 is its silence.

    Raises:
        BrokenFrame: A code that no frame may carry, a reason that is no text, or half a code.
    """
    try:
        close = Close.parse(payload)
    except UnicodeDecodeError:
        raise BrokenFrame("a reason must be UTF-8", BAD_DATA) from None
    except Exception as error:
        raise BrokenFrame(str(error)) from None
    return int(close.code), close.reason


class PerSecond:
    """Whether more than `limit` things happen in one second; None is no limit."""

    __slots__ = ("_count", "_limit", "_since")

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._count = 0
        self._since = float("-inf")

    def exceeded(self, now: float) -> bool:
        """Count one, at a time in seconds."""
        if self._limit is None:
            return False
        if now - self._since >= 1:
            self._since, self._count = now, 0
        self._count += 1
        return self._count > self._limit


class Assembly:
    """Messages of a client from its frames.

    Args:
        most: Fragments that a message may have, and that a second may bring; None is no limit.
        time: What tells the seconds.
    """

    __slots__ = ("_count", "_decoder", "_message", "_most", "_rate", "_time", "unfinished")

    def __init__(self, most: int | None, time: Callable[[], float]) -> None:
        self._most = most
        self._rate = PerSecond(most)
        self._time = time
        # No object per fragment is kept: bytes are joined as they come, and text without characters is left out.
        self._message: list[str] | bytearray = bytearray()
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._count = 0
        self.unfinished = 0
        """Bytes of the message that has not ended."""

    def take(self, opcode: int, ends: bool, payload: bytes) -> str | bytes | None:
        """The message that ends with this frame, if one does.

        Raises:
            BrokenFrame: Text that is none; in fragments, too, it is refused when it comes (WIRE-605).
            Flooded: Too many fragments.
        """
        try:
            if ends and opcode != CONTINUATION:
                return payload if opcode == BINARY else payload.decode()
            self._count_fragment(opcode)
            self.unfinished = 0 if ends else self.unfinished + len(payload)
            message = self._message
            if isinstance(message, bytearray):
                message += payload
                return self._whole(bytes(message)) if ends else None
            # No turn decodes a whole message, however large.
            text = self._decoder.decode(payload, ends)
        except UnicodeDecodeError:
            raise BrokenFrame(make_error("message.invalid_utf8").name, BAD_DATA) from None
        if text:
            message.append(text)
        return self._whole("".join(message)) if ends else None

    def drop(self) -> None:
        """Forget what has not ended."""
        self._message = bytearray()
        self.unfinished = 0

    def _count_fragment(self, opcode: int) -> None:
        if opcode != CONTINUATION:
            self._message = [] if opcode == TEXT else bytearray()
            self._count = 0
        self._count += 1
        if (self._most is not None and self._count > self._most) or self._rate.exceeded(self._time()):
            raise Flooded

    def _whole(self, message: str | bytes) -> str | bytes:
        self._message = bytearray()
        return message
