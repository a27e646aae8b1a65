"""BARE primitives (WIRE section 7.3).

What is read is bitten off the front of what is left, so a position that is off by one cannot go unnoticed. Numbers have one form only: a
client of the peer refuses an unsigned integer that is longer than it has to be, and so does this reader.
"""

from __future__ import annotations

from harness.codec.errors import SchemaError

LIMIT = 1 << 64
_MORE = 0x80


class Reader:
    """Bites primitives off; every method raises `SchemaError` when what is left does not begin with one."""

    def __init__(self, data: bytes) -> None:
        """Begins at the first byte."""
        # A view, so that biting off costs no copy of the rest.
        self._left = memoryview(data)
        self._size = len(data)

    def at_end(self) -> bool:
        """Whether everything was read."""
        return not self._left

    def finish(self, what: str) -> None:
        """Nothing may follow a complete message (WIRE-413)."""
        if self._left:
            raise SchemaError(f"{len(self._left)} bytes follow the end of {what}")

    def take(self, size: int) -> bytes:
        """This many bytes."""
        if size > len(self._left):
            at = self._size - len(self._left)
            raise SchemaError(f"the message ends at byte {self._size}, inside a field of {size} bytes that begins at byte {at}")
        bite, self._left = bytes(self._left[:size]), self._left[size:]
        return bite

    def byte(self) -> int:
        """One byte: a union tag."""
        return self.take(1)[0]

    def uint(self) -> int:
        """Groups of seven bits, the least significant first, each but the last marked by its high bit."""
        groups = [self.byte()]
        while groups[-1] & _MORE:
            groups.append(self.byte())
            # Refused while reading: a message that never ends its number would otherwise be read to its end first.
            if len(groups) > 10:
                raise SchemaError("an unsigned integer has more than 64 bits")
        if len(groups) > 1 and groups[-1] == 0:
            raise SchemaError("an unsigned integer is longer than it has to be")
        value: int = sum((group % _MORE) * _MORE**place for place, group in enumerate(groups))
        if value >= LIMIT:
            raise SchemaError("an unsigned integer has more than 64 bits")
        return value

    def u16(self) -> int:
        """Two bytes, the low one first."""
        low, high = self.take(2)
        return high << 8 | low

    def u64(self) -> int:
        """Eight bytes, the low one first."""
        return sum(byte << 8 * place for place, byte in enumerate(self.take(8)))

    def bool(self) -> bool:
        """One byte, 0 or 1."""
        flag = self.byte()
        if flag not in (0, 1):
            raise SchemaError(f"a flag is 0 or 1, not {flag}")
        return flag == 1

    def data(self) -> bytes:
        """Bytes behind their count."""
        return self.take(self.uint())

    def str(self) -> str:
        """UTF-8 behind the count of its bytes."""
        try:
            return str(self.data(), "utf-8")
        except UnicodeDecodeError as error:
            raise SchemaError(f"a text is not UTF-8: {error.reason}") from None


class Writer:
    """Lines primitives up; every method returns the writer."""

    def __init__(self) -> None:
        """Empty."""
        self._pieces: list[bytes] = []

    def finish(self) -> bytes:
        """All that was written."""
        return b"".join(self._pieces)

    def raw(self, piece: bytes) -> Writer:
        """These bytes as they are."""
        self._pieces.append(piece)
        return self

    def byte(self, value: int) -> Writer:
        """One byte."""
        return self.raw(bytes([value]))

    def uint(self, value: int) -> Writer:
        """Groups of seven bits, the least significant first."""
        if value not in range(LIMIT):
            raise ValueError(f"{value} is no unsigned 64-bit integer")
        # By recursion: 64 bits are ten groups at most.
        rest, group = divmod(value, _MORE)
        return self.byte(group + _MORE).uint(rest) if rest else self.byte(group)

    def u16(self, value: int) -> Writer:
        """Two bytes, the low one first."""
        return self.byte(value & 0xFF).byte(value >> 8)

    def u64(self, value: int) -> Writer:
        """Eight bytes, the low one first."""
        return self.raw(bytes(value >> 8 * place & 0xFF for place in range(8)))

    def bool(self, value: bool) -> Writer:
        """One byte, 0 or 1."""
        return self.raw(b"\1" if value else b"\0")

    def data(self, value: bytes) -> Writer:
        """Bytes behind their count."""
        return self.uint(len(value)).raw(value)

    def str(self, value: str) -> Writer:
        """UTF-8 behind the count of its bytes."""
        return self.data(bytes(value, "utf-8"))
