"""Request headers as the gateway passes them on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.replies import RawHeaders


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
