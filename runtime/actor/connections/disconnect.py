"""`on_disconnect`: when it runs for a connection that left the list, and within which limit (CONN-070..078)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.actor.lifecycle.tracked_work import WorkKind

if TYPE_CHECKING:
    from runtime.actor.connections.connection import Conn
    from runtime.actor.connections.ports import ConnOwner


class DisconnectHook:
    """Runs the hook of one actor; the same for every connection.

    Attributes:
        in_grace: The actor is stopping.
    """

    __slots__ = ("_owner", "in_grace")

    def __init__(self, owner: ConnOwner) -> None:
        self._owner = owner
        self.in_grace = False

    def start(self, conn: Conn) -> None:
        """Run it as work of the actor, which keeps the actor awake and holds grace open (CONN-077)."""
        if "on_disconnect" in self._owner.definition.hooks:
            self._owner.work.spawn(WorkKind.DISCONNECT_CALLBACK, self._run_when_set_up(conn))

    async def _run_when_set_up(self, conn: Conn) -> None:
        # Hooks of one connection never overlap, and one that was refused gets none (CONN-016, CONN-031).
        if await conn.setup_done():
            await self.run(conn)

    async def run(self, conn: Conn) -> bool:
        """Run it to its end; False when it failed, which is logged and affects nothing else (CONN-076)."""
        owner = self._owner
        if "on_disconnect" not in owner.definition.hooks:
            return True
        try:
            context = owner.context(conn=conn)
            # In grace its budget is that of the stop (SLEEP-060).
            limit = None if self.in_grace else owner.options.on_connect_timeout
            await owner.call_hook("on_disconnect", context, conn, timeout=limit, label="onDisconnect")
        except Exception:
            # Nobody waits for it who could be told: the connection is gone already.
            owner.log.error("onDisconnect failed", conn_id=conn.id, exc_info=True)
            return False
        return True
