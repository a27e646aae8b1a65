"""`c.conns`: the live connections of an actor, as user code sees them (CONN-060..062)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from runtime.actor.connections.connection import Conn


class ConnsView(Mapping[str, Conn]):
    """A read-only mapping over the live connections; iterating sees a snapshot (CONN-060, CONN-062)."""

    # Why a view of the table's dict and not a copy per access: `c.conns` is read in loops, often for its length or one connection only.
    def __init__(self, conns: dict[str, Conn]) -> None:
        self._conns = conns

    def __getitem__(self, conn_id: str) -> Conn:
        return self._conns[conn_id]

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._conns))

    def __len__(self) -> int:
        return len(self._conns)

    # The views that `Mapping` makes are live: a connection that leaves inside the loop would end it with a RuntimeError.
    def values(self) -> tuple[Conn, ...]:  # type: ignore[override]
        """The connections now."""
        return tuple(self._conns.values())

    def items(self) -> tuple[tuple[str, Conn], ...]:  # type: ignore[override]
        """Ids and connections now."""
        return tuple(self._conns.items())
