"""Ray ids: one per HTTP response (WIRE-004, WIRE-150)."""

from __future__ import annotations

from random import getrandbits

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_PAIRS = tuple(low + high for high in _DIGITS for low in _DIGITS)
# Version and variant of a UUIDv4 whose 16 bytes are read as a little-endian integer.
_UUID_MASK = ~0xC000F0000000000000
_UUID_BITS = 0x800040000000000000
_LABEL = 1 << 136
_VERSION = 1


def new_ray() -> str:
    """A fresh id in the format of `runtime.protocol.ids`; made two digits at a time because every response needs one."""
    value = (((getrandbits(128) & _UUID_MASK) | _UUID_BITS) << 8) | _VERSION | _LABEL
    pairs = []
    for _ in range(15):
        value, pair = divmod(value, 1296)
        pairs.append(_PAIRS[pair])
    return "".join(pairs)
