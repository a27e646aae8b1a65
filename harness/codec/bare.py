"""BARE primitives (WIRE section 7.3)."""

from __future__ import annotations

from harness.codec.errors import SchemaError

U64 = 2**64
_LONGEST_UINT = 10


class Writer:
    """Collects primitives; every method returns the writer."""

    def __init__(self, prefix: bytes = b"") -> None:
        """Begins with `prefix`."""
        self._out = bytearray(prefix)

    def finish(self) -> bytes:
        """All that was written."""
        return bytes(self._out)

    def byte(self, value: int) -> Writer:
        """One byte: a union tag or a flag."""
        self._out.append(value)
        return self

    def uint(self, value: int) -> Writer:
        """LEB128, least significant group first."""
        if not 0 <= value < U64:
            raise ValueError(f"{value} is no unsigned 64-bit integer")
        while value >= 0x80:
            self._out.append(value & 0x7F | 0x80)
            value >>= 7
        return self.byte(value)

    def u16(self, value: int) -> Writer:
        """Two bytes, little endian."""
        self._out += value.to_bytes(2, "little")
        return self

    def u64(self, value: int) -> Writer:
        """Eight bytes, little endian."""
        self._out += value.to_bytes(8, "little")
        return self

    def bool(self, value: bool) -> Writer:
        """One byte, 0 or 1."""
        return self.byte(1 if value else 0)

    def data(self, value: bytes) -> Writer:
        """Bytes behind their length."""
        self.uint(len(value))
        self._out += value
        return self

    def str(self, value: str) -> Writer:
        """UTF-8 behind its length in bytes."""
        return self.data(value.encode())


class Reader:
    """Reads primitives from bytes; every method raises `SchemaError` when the bytes do not fit."""

    def __init__(self, data: bytes) -> None:
        """Begins at the first byte."""
        self._data = data
        self._at = 0

    def at_end(self) -> bool:
        """Whether everything was read."""
        return self._at == len(self._data)

    def finish(self, what: str) -> None:
        """Nothing may follow a complete message (WIRE-413)."""
        if not self.at_end():
            raise SchemaError(f"{len(self._data) - self._at} bytes follow the end of {what}")

    def take(self, size: int) -> bytes:
        """This many bytes."""
        end = self._at + size
        if end > len(self._data):
            raise SchemaError(f"the message ends at byte {len(self._data)}, inside a field of {size} bytes that begins at byte {self._at}")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def byte(self) -> int:
        """One byte."""
        return self.take(1)[0]

    def uint(self) -> int:
        """LEB128, at most ten bytes and 64 bits."""
        value = 0
        for position in range(_LONGEST_UINT):
            group = self.byte()
            value |= (group & 0x7F) << (7 * position)
            if group < 0x80:
                if value >= U64:
                    break
                return value
        raise SchemaError("an unsigned integer has more than 64 bits")

    def u16(self) -> int:
        """Two bytes, little endian."""
        return int.from_bytes(self.take(2), "little")

    def u64(self) -> int:
        """Eight bytes, little endian."""
        return int.from_bytes(self.take(8), "little")

    def bool(self) -> bool:
        """One byte, 0 or 1."""
        value = self.byte()
        if value > 1:
            raise SchemaError(f"a flag is 0 or 1, not {value}")
        return value == 1

    def data(self) -> bytes:
        """Bytes behind their length."""
        return self.take(self.uint())

    def str(self) -> str:
        """UTF-8 behind its length."""
        try:
            return self.data().decode()
        except UnicodeDecodeError as error:
            raise SchemaError(f"a text is not UTF-8: {error.reason}") from None
