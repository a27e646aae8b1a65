"""The names that actors of one namespace have had (WIRE-110).

Any name may be created (WIRE-089), so strangers can make up as many as they like. The ones used last are kept, each in a row of its own: a
new name costs one small row and the time to find its place, however many there are.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, MutableSet
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime.storage.base import Delete, Put

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.storage.base import Op

TABLE = "names"
MAX_NAMES = 10_000
"""Names kept per namespace: those under which an actor was created last."""
MAX_NAME_BYTES = 1024
"""Longer ones are names of their actors, too, and not kept for the list."""
TIME_BYTES = 8


# By identity: rows are keys of the write-behind while they change.
@dataclass(slots=True, eq=False)
class NameRow:
    """One name, with the milliseconds of its first actor; None removes it."""

    namespace_id: str
    name: str
    at_ms: int | None

    def ops(self) -> Sequence[Op]:
        """The write of the name."""
        key = self.namespace_id.encode() + b"\x00" + self.name.encode("utf-8", "surrogatepass")
        return [Delete(TABLE, key) if self.at_ms is None else Put(TABLE, key, self.at_ms.to_bytes(TIME_BYTES, "big"))]

    @classmethod
    def of(cls, key: bytes, value: bytes) -> NameRow:
        """What a row says."""
        namespace_id, _, name = key.partition(b"\x00")
        return cls(namespace_id.decode(errors="replace"), _text(name), int.from_bytes(value, "big"))


def _text(name: bytes) -> str:
    try:
        return name.decode("utf-8", "surrogatepass")
    # A damaged row: a name that looks odd is better than a host that does not start.
    except UnicodeDecodeError:
        return name.decode(errors="replace")


class ActorNames(MutableSet[str]):
    """A set of at most `MAX_NAMES` names, listed in their order."""

    __slots__ = ("_last_ms", "_sorted")

    def __init__(self, names: Iterable[str] = ()) -> None:
        # In the order of their last use.
        self._last_ms: dict[str, int] = {}
        self._sorted: list[str] = []
        for name in names:
            self.add(name)

    def __contains__(self, name: object) -> bool:
        return name in self._last_ms

    def __iter__(self) -> Iterator[str]:
        return iter(self._sorted)

    def __len__(self) -> int:
        return len(self._sorted)

    def add(self, value: str) -> None:
        """Keep a name of which nothing more is known."""
        self.use(value, 0)

    def discard(self, value: str) -> None:
        """Forget a name."""
        if self._last_ms.pop(value, None) is not None:
            del self._sorted[bisect_left(self._sorted, value)]

    def last_ms(self, name: str) -> int:
        """When the youngest actor of the name was created, 0 if that is not known."""
        return self._last_ms.get(name, 0)

    def use(self, name: str, at_ms: int) -> str | None:
        """An actor of that name was created; gives the name that is forgotten for it, if any."""
        last = self._last_ms.pop(name, None)
        if last is None:
            # A character may be one byte: what is longer than that is too long without counting.
            if len(name) > MAX_NAME_BYTES or len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
                return None
            insort(self._sorted, name)
        self._last_ms[name] = max(at_ms, last or 0)
        if len(self._last_ms) <= MAX_NAMES:
            return None
        oldest = next(iter(self._last_ms))
        self.discard(oldest)
        return oldest

    def after(self, name: str | None, limit: int) -> list[str]:
        """The next names strictly behind one, in order."""
        start = 0 if name is None else bisect_right(self._sorted, name)
        return self._sorted[start : start + limit]
