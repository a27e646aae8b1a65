"""Request headers as the gateway passes them on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from runtime.errors import make_error

if TYPE_CHECKING:
    from runtime.replies import RawHeaders

SKIP_HEADER = b"x-rivet-skip-ready-wait"
FLAGS = {"true": True, "1": True, "false": False, "0": False}


class RequestHeaders(Mapping[str, str]):
    """Headers by lower-case name; of a repeated header the last value counts, values that are not text are dropped (WIRE-250, WIRE-251).

    Decoded when first read: most actions never look at their headers.
    """

    # One per request: a dictionary of attributes would cost more than the headers.
    __slots__ = ("_decoded", "_raw")

    def __init__(self, raw: RawHeaders) -> None:
        self._raw = raw
        self._decoded: dict[str, str] | None = None

    def _all(self) -> dict[str, str]:
        if self._decoded is None:
            decoded = {}
            for name, value in self._raw.items():
                try:
                    decoded[name.decode("ascii")] = value.decode("utf-8")
                except UnicodeDecodeError:
                    continue
            self._decoded = decoded
        return self._decoded

    def __getitem__(self, name: str) -> str:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __repr__(self) -> str:
        return f"RequestHeaders({self._all()!r})"


def skip_from_header(headers: RawHeaders) -> bool:
    """The skip-ready-wait header of the direct and header forms (WIRE-230, WIRE-231)."""
    value = headers.get(SKIP_HEADER)
    if value is None:
        return False
    flag = FLAGS.get(value.decode("latin-1"))
    if flag is None:
        name = SKIP_HEADER.decode()
        raise make_error("guard.invalid_header", header=name, detail="expected true, false, 1, or 0.")
    return flag
