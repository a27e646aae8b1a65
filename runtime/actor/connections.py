"""Every connection of one generation: the pipeline, the listing, disconnects, persistence and the stop path.

What the actor task calls, in the order of a generation's life:

    table.restore(rows, sockets)      before the startup hooks; `rows` is what `Storage.load` gave (tables `conn` and `conn_state`)
    table.resume()                    after the startup hooks, before dispatch: re-attach sockets, replay, run stale disconnects
    async with table.transient(...)   around an HTTP action, queue send or raw request
    await table.open_socket(socket)   as a dispatch child: `/connect` or raw
    table.begin_stop(kind)            at grace entry, right before the cleanup hook is launched
    table.close_raw_sockets()         each time cleanup hook and grace predicate are done: True means new work was started, wait again
    table.freeze()                    when grace is over (predicate or deadline), right before the final save is collected
    await table.end_generation()      after storage is closed: closes the remaining transports; the last call

It is a save source (`collect`, `settled`) of the `StateSaver`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.protocol.values import UNDEFINED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from runtime.actor.conn import Conn
    from runtime.actor.ports import StopKind
    from runtime.actor.task import ActorTask
    from runtime.hosting.sockets import ClientSocket
    from runtime.http import Request
    from runtime.storage.base import Op



class ConnectionTable:
    """The connections of one generation. `len()` counts live ones (SLEEP-010 row 8)."""

    def __init__(self, task: ActorTask) -> None:
        self._task = task

    def __len__(self) -> int:
        raise NotImplementedError

    @property
    def view(self) -> Mapping[str, Conn]:
        """What user code sees as `c.conns` (CONN-060..062)."""
        raise NotImplementedError

    def restore(self, rows: Mapping[str, Sequence[tuple[bytes, bytes]]], sockets: Sequence[ClientSocket]) -> None:
        """Load the persisted connections before the startup hooks (HIB-050, HIB-051)."""
        raise NotImplementedError

    def resume(self) -> None:
        """Re-attach sockets, replay unacknowledged messages, disconnect stale connections; after the startup hooks."""
        raise NotImplementedError

    def transient(self, params: Any = UNDEFINED, request: Request | None = None) -> AbstractAsyncContextManager[Conn]:
        """The pipeline around one HTTP kind: entering runs the connect hooks, leaving starts `on_disconnect` (CONN-001)."""
        raise NotImplementedError

    async def open_socket(self, socket: ClientSocket) -> None:
        """Run the pipeline of one admitted socket. Failures reach the client as close frames; nothing is raised."""
        raise NotImplementedError

    def broadcast(self, name: str, args: Sequence[Any]) -> None:
        """Send an event to every subscribed connection; raises `actor.validation_error` (EVENT-001, EVENT-021)."""
        raise NotImplementedError

    def begin_stop(self, kind: StopKind) -> None:
        """Grace begins: queue hibernatable connections for persistence, disconnect the transient ones (CONN-081, HIB-060)."""
        raise NotImplementedError

    def close_raw_sockets(self) -> bool:
        """Start the close cycle of every raw socket that cannot hibernate (RAWWS-066); True when any was started."""
        raise NotImplementedError

    def freeze(self) -> None:
        """No client message is handled from here on; unfinished close cycles are acknowledged as `aborted` (RAWWS-065)."""
        raise NotImplementedError

    async def end_generation(self) -> None:
        """Close what is left with 1000 `actor.stopped` (CONN-083); hibernatable sockets stay open unless this is a destroy (HIB-062)."""
        raise NotImplementedError

    def collect(self) -> list[Op]:
        """Rows of dirty and removed hibernatable connections (HIB-011, HIB-012)."""
        raise NotImplementedError

    def settled(self, ok: bool) -> None:
        """The collected rows are durable: acknowledge (HIB-034); or not: keep both sets pending."""
        raise NotImplementedError
