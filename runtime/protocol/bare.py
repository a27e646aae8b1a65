"""BARE primitives (WIRE section 7.3)."""

from __future__ import annotations

from runtime.protocol.decode_errors import DecodeError

MAX_UINT = 2**64 - 1
# Ten groups of seven bits hold 64; an eleventh could only be padding, which a hostile sender would make as long as it likes.
_MAX_UINT_BYTES = 10


class Writer:
    """Appends primitives to a growing buffer; `finish()` gives the bytes."""

    __slots__ = ("_out",)

    def __init__(self, prefix: bytes = b"") -> None:
        self._out = bytearray(prefix)

    def finish(self) -> bytes:
        """The bytes written so far."""
        return bytes(self._out)

    def uint(self, value: int) -> Writer:
        """LEB128."""
        # One buffer that grows: joining small pieces at the end would cost an object per primitive.
        out = self._out
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        out.append(value)
        return self

    def u16(self, value: int) -> Writer:
        """Two bytes, little endian."""
        self._out += value.to_bytes(2, "little")
        return self

    def u32(self, value: int) -> Writer:
        """Four bytes, little endian."""
        self._out += value.to_bytes(4, "little")
        return self

    def u64(self, value: int) -> Writer:
        """Eight bytes, little endian."""
        self._out += value.to_bytes(8, "little")
        return self

    def i64(self, value: int) -> Writer:
        """Eight bytes, little endian, two's complement."""
        self._out += value.to_bytes(8, "little", signed=True)
        return self

    def raw(self, value: bytes) -> Writer:
        """Bytes of a length that both sides know."""
        self._out += value
        return self

    def bool(self, value: bool) -> Writer:
        """One byte, 0 or 1."""
        self._out.append(1 if value else 0)
        return self

    def data(self, value: bytes) -> Writer:
        """Length and bytes."""
        self.uint(len(value))
        self._out += value
        return self

    def str(self, value: str) -> Writer:
        """Length and UTF-8."""
        return self.data(value.encode())

    def byte(self, value: int) -> Writer:
        """One raw byte: a union tag or an optional's presence."""
        self._out.append(value)
        return self


class Reader:
    """Reads primitives from bytes; every method raises `DecodeError` when the bytes do not fit."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def at_end(self) -> bool:
        """Whether everything was read."""
        return self._at == len(self._data)

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        end = self._at + size
        # Checked before slicing, because a slice beyond the end is not an error but short, and would pass for a whole value.
        if size < 0 or end > len(self._data):
            raise DecodeError("message is too short")
        chunk = self._data[self._at : end]
        self._at = end
        return chunk

    def byte(self) -> int:
        """One raw byte."""
        if self._at >= len(self._data):
            raise DecodeError("message is too short")
        value = self._data[self._at]
        self._at += 1
        return value

    def uint(self) -> int:
        """LEB128 of at most 64 bits."""
        value = 0
        for position in range(_MAX_UINT_BYTES):
            part = self.byte()
            value |= (part & 0x7F) << (7 * position)
            if part < 0x80:
                # Padding: one number must not have several forms, which two readers could take for different ones.
                if part == 0 and position:
                    raise DecodeError("integer is padded")
                # The tenth byte has room for more than the last bit of a u64.
                if value > MAX_UINT:
                    break
                return value
        raise DecodeError("integer is too large")

    def count(self) -> int:
        """How many items follow; each takes at least a byte, and nothing is made for more than there are."""
        count = self.uint()
        if count > len(self._data) - self._at:
            raise DecodeError("message is too short")
        return count

    def u16(self) -> int:
        """Two bytes, little endian."""
        return int.from_bytes(self.take(2), "little")

    def u32(self) -> int:
        """Four bytes, little endian."""
        return int.from_bytes(self.take(4), "little")

    def u64(self) -> int:
        """Eight bytes, little endian."""
        return int.from_bytes(self.take(8), "little")

    def i64(self) -> int:
        """Eight bytes, little endian, two's complement."""
        return int.from_bytes(self.take(8), "little", signed=True)

    def bool(self) -> bool:
        """One byte, 0 or 1."""
        value = self.byte()
        # A lenient reader would take any non-zero byte for true, and two readers could disagree about one message.
        if value > 1:
            raise DecodeError(f"invalid bool {value}")
        return value == 1

    def data(self) -> bytes:
        """Length and bytes."""
        return self.take(self.uint())

    def str(self) -> str:
        """Length and UTF-8."""
        try:
            return self.data().decode()
        except UnicodeDecodeError as error:
            raise DecodeError("text is not UTF-8") from error
