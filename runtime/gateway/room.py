"""How much may wait for clients that read slowly, or of clients that send: for one of them, and for all together.

Why together, too: a bound for each is no bound when a thousand of them come. When all have too much, the one that has most is cut: who is a
little slow must not pay for who does not read at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PER_SOCKET = 64 * 1024 * 1024
ALL_SOCKETS = 512 * 1024 * 1024


class Room:
    """The room of one server. Sizes are bytes.

    Args:
        per_socket: What may wait for one client; one message alone may be larger, as messages have limits of their own.
        all_sockets: What may wait for all of them.
    """

    def __init__(self, per_socket: int = PER_SOCKET, all_sockets: int = ALL_SOCKETS) -> None:
        self.per_socket = per_socket
        self.all_sockets = all_sockets
        self.taken = 0
        self.behind: set[Backlog] = set()
        """Those for whom something waits."""


class Backlog:
    """What waits for one client, in the gateway and in the server.

    Attributes:
        on_overflow: Called when it is too much: the socket has to close.
        on_cut: Called when it is too much for all: it has to end at once. None where the server cannot.
    """

    __slots__ = ("_room", "_size", "on_cut", "on_overflow")

    def __init__(self, room: Room) -> None:
        self.on_overflow: Callable[[], None] = lambda: None
        self.on_cut: Callable[[], None] | None = None
        self._room = room
        self._size = 0

    @property
    def size(self) -> int:
        """Bytes that wait."""
        return self._size

    def has_room(self, size: int) -> bool:
        """Whether so much more may wait for this client; asked by those who can do without."""
        return not self._size or self._size + size <= self._room.per_socket

    def add(self, size: int) -> None:
        """So much more waits; when that is too much for all, whoever has most is cut."""
        room = self._room
        self._size += size
        room.taken += size
        room.behind.add(self)
        while room.taken > room.all_sockets and room.behind:
            worst = max(room.behind, key=lambda one: one.size)
            worst.remove(worst.size)
            worst.on_overflow()
            if worst.on_cut is not None:
                worst.on_cut()

    def remove(self, size: int) -> None:
        """So much less waits."""
        # Who was cut has given back everything already.
        size = min(size, self._size)
        self._size -= size
        self._room.taken -= size
        if not self._size:
            self._room.behind.discard(self)


DEFAULT_ROOM = Room()
"""For servers that offer none."""


@dataclass(frozen=True, slots=True)
class DirectWire:
    """What a server offers beside ASGI for one socket, as `scope["extensions"][DIRECT_WIRE]`.

    Attributes:
        write: Writes a message now; False when it has to wait for its turn in `send`.
        backlog: What waits for the client.
        incoming: The room for what clients sent.
    """

    write: Callable[[str | bytes], bool]
    backlog: Backlog
    incoming: Room


DIRECT_WIRE = "runtime.direct_wire"
