"""`Conn`: one connection, as user code sees it.

Why the runtime's own fields are on the same object: hooks, `c.conn` and `c.conns` must give one and the same connection (CONN-057,
CONN-061), so a facade would need a table of its own to stay one per connection.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Protocol

from runtime.actor.connections.events import EventLink
from runtime.protocol.copies import own_copy
from runtime.protocol.values import UNDEFINED

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from runtime.actor.connections.hibernation.watermark import Watermark
    from runtime.actor.connections.sockets import ActorSocket


"""What needs no copy; a subclass with attributes of its own is nobody's parameters."""


class ConnLink(EventLink, Protocol):
    """The socket behind a connection: a `/connect` or a raw one. HTTP kinds have none."""

    @property
    def socket(self) -> ActorSocket:
        """The client's end."""
        ...

    @property
    def watermark(self) -> Watermark:
        """Which of the client's messages are settled."""
        ...

    def disconnect(self, reason: str) -> None:
        """Close the transport with 1000 and `reason`, and end the connection."""


class ConnHome(Protocol):
    """Where a connection is listed: what its public methods come down to."""

    def send_to(self, conn: Conn, name: str, args: Sequence[Any]) -> None:
        """Send one event to that connection alone; raises `actor.validation_error` (EVENT-021)."""

    def disconnect(self, conn: Conn, reason: str) -> None:
        """Close the transport if there is one, and end the connection."""

    def track_state(self, conn: Conn, value: Any, *, initial: bool) -> Any:
        """The tracked form of a connection's new state; raises when it may not be changed now, or not to that."""

    def changed(self, conn: Conn) -> None:
        """State or subscriptions of the connection are different."""


def new_conn_id() -> str:
    """A random UUID (CONN-050)."""
    return str(uuid.uuid4())


class Conn:
    """One live connection: `c.conn`, the values of `c.conns`, and the argument of the connection hooks (CONN-057).

    `params` is what the client sent, validated; reading it gives a copy, so nothing can change it (CONN-044). `state` is tracked like
    `c.state` and persisted for hibernatable connections (CONN-052). A connection that ended keeps both readable.

    Attributes:
        id: A random UUID, unchanged by hibernation (CONN-050).
        is_hibernatable: Whether it survives the sleep of its actor (HIB-001).
    """

    __slots__ = (
        "_home", "_params", "_setup", "_state", "complete_record", "counted", "id", "is_hibernatable", "link", "persisted", "removed",
        "since", "subscriptions",
    )  # fmt: skip

    def __init__(self, home: ConnHome, conn_id: str, *, hibernatable: bool = False) -> None:
        self.id = conn_id
        self.is_hibernatable = hibernatable
        self.link: ConnLink | None = None
        self.removed = False
        self.counted = False
        self.since = 0.0
        # Two marks for one record: what a failed batch left behind has to be deleted in the end, but cannot be relied on.
        self.persisted = False
        self.complete_record = False
        self.subscriptions: set[str] = set()
        self._home = home
        self._params: Any = UNDEFINED
        self._state: Any = UNDEFINED
        self._setup: asyncio.Future[bool] | None = None

    def __repr__(self) -> str:
        return f"Conn({self.id!r})"

    @property
    def params(self) -> Any:
        """The connection parameters; None when the client sent none."""
        return own_copy(self._params)

    @property
    def state(self) -> Any:
        """The connection's own state; `UNDEFINED` until there is one (CONN-015).

        Raises:
            ActorError: `actor.state_mutation_reentrant` on a write inside `on_state_change` (CONN-055).
            TypeError: The new value cannot be stored (CONN-054).
        """
        return self._state

    @state.setter
    def state(self, value: Any) -> None:
        # Tracked first: what cannot be stored, or not now, leaves the old state as it is (CONN-054, CONN-055).
        self._state = self._home.track_state(self, value, initial=False)
        self._home.changed(self)

    def send(self, event: str, *args: Any) -> None:
        """Send an event to this connection, subscribed or not; does nothing on kinds without events and after the end (CONN-003).

        Raises:
            ActorError: `actor.validation_error` when the declared schema refuses the payload (EVENT-021).
        """
        self._home.send_to(self, event, args)

    def disconnect(self, reason: str | None = None) -> None:
        """End the connection: close with 1000 and `reason`, start `on_disconnect`. May be repeated (CONN-070, CONN-071)."""
        self._home.disconnect(self, reason or "")

    def adopt(self, params: Any, state: Any) -> None:
        """Install decoded params and tracked state; the pipeline's and the restore's business."""
        self._params = params
        self._state = state

    def stored_values(self) -> tuple[Any, Any]:
        """Params and state as they are written; not copies."""
        return self._params, self._state

    def begin_setup(self, setup: asyncio.Future[bool]) -> None:
        """`on_connect` is about to run; a disconnect meanwhile waits for its outcome (CONN-016)."""
        self._setup = setup

    async def setup_done(self) -> bool:
        """Wait until `on_connect` has ended; False when it failed, so that `on_disconnect` must not run (CONN-031)."""
        return True if self._setup is None else await self._setup
