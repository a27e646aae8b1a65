"""What an inspector sees of one live actor, and what it may change; shared by the HTTP API and the WebSocket protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.actor.lifecycle.work import WorkKind
from runtime.actor.state.tracking import plain
from runtime.errors import make_error
from runtime.protocol.values import UNDEFINED
from runtime.workflow import BoundWorkflow
from runtime.workflow.history import TABLE, History
from runtime.workflow.replay import rewind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.actor.connections.connection import Conn
    from runtime.actor.lifecycle.task import ActorTask
    from runtime.actor.queue.records import StoredMessage


class ActorView:
    """Reads and changes of one generation. Calls count as work, so the actor stays awake meanwhile (INSP-004)."""

    def __init__(self, task: ActorTask) -> None:
        self.task = task

    @property
    def has_state(self) -> bool:
        """Whether the actor has state."""
        return self.task.definition.has_state

    @property
    def is_workflow(self) -> bool:
        """Whether the run handler is a workflow (WF-004)."""
        run = self.task.definition.hooks.get("run")
        return run is not None and isinstance(run.function, BoundWorkflow)

    def state(self) -> Any:
        """The current in-memory state, unsaved changes included (INSP-030)."""
        return plain(self.task.state.value)

    async def replace_state(self, value: Any) -> None:
        """Replace the whole state and save it at once (INSP-032, INSP-033).

        Raises:
            ActorError: actor.state_not_enabled (INSP-035).
        """
        if not self.has_state:
            raise make_error("actor.state_not_enabled")
        with self.task.work.region(WorkKind.INTERNAL_KEEP_AWAKE):
            self.task.state.replace(value)
            self.task.state.flush()
            await self.task.saver.save_now()

    def connections(self) -> list[dict[str, Any]]:
        """Open connections (INSP-040, INSP-041)."""
        return [_connection(conn) for conn in self.task.conns.view.values()]

    def actions(self) -> list[str]:
        """Action names in ascending order (INSP-045)."""
        return sorted(self.task.definition.actions)

    async def run_action(self, name: str, args: list[Any]) -> Any:
        """Run an action without a connection (INSP-050, INSP-058).

        Raises:
            ActorError: action.action_not_found; what the handler raised.
        """
        if name not in self.task.definition.actions:
            raise make_error("action.action_not_found", message=f"Action {name} not found", name=name)
        with self.task.work.region(WorkKind.INTERNAL_KEEP_AWAKE):
            return await self.task.calls.run_scheduled(name, args)

    def queued(self, limit: int) -> tuple[int, Sequence[StoredMessage]]:
        """The number of stored messages and the first `limit` of them, without bodies (INSP-060..063)."""
        messages = self.task.queue.messages
        return len(messages), messages[:limit]

    async def enqueue(self, name: str, body: Any) -> StoredMessage:
        """Store a message as a client's send would, whatever its name (INSP-064).

        Raises:
            ActorError: actor.invalid_request for an empty name; the queue's own limits.
        """
        if not name:
            raise make_error("actor.invalid_request", message="Queue message name must not be empty")
        with self.task.work.region(WorkKind.INTERNAL_KEEP_AWAKE):
            return await self.task.queue.send(name, body)

    async def clear_queue(self) -> None:
        """Remove all messages (INSP-068)."""
        with self.task.work.region(WorkKind.INTERNAL_KEEP_AWAKE):
            await self.task.queue.clear()

    async def workflow_history(self) -> History | None:
        """The workflow's history; None for another actor."""
        if not self.is_workflow:
            return None
        live = self.task.workflow
        if live is not None:
            history: History = live.history
            return history
        return History.load(await self.task.storage.scan(TABLE))

    async def replay_workflow(self, entry_id: str | None) -> History | None:
        """Rewind and restart the workflow; the history after the deletion (INSP-100, WF-210..217).

        Raises:
            ActorError: actor.workflow_in_flight.
            ValueError: The entry is unknown or is no step.
        """
        if not self.is_workflow:
            return None
        with self.task.work.region(WorkKind.INTERNAL_KEEP_AWAKE):
            # The stored history is rewound, not the live one: when the commit fails nothing has changed.
            history = History.load(await self.task.storage.scan(TABLE))
            if self.task.run.active:
                raise make_error("actor.workflow_in_flight")
            rewind(history, entry_id)
            writes, deletions, _ = history.take_changes()
            with self.task.run.held():
                await self.task.commit([*writes, *deletions])
                self.task.workflow = None
        return history

    async def database(self) -> Any:
        """A database client; every actor has one here (DB-003)."""
        return await self.task.database.inspector_client()


def _connection(conn: Conn) -> dict[str, Any]:
    params, state = conn.stored_values()
    details: dict[str, Any] = {"type": None, "params": params, "stateEnabled": True}
    if state is not UNDEFINED:
        details["state"] = plain(state)
    details |= {"subscriptions": len(conn.subscriptions), "isHibernatable": conn.is_hibernatable}
    return {"type": None, "id": conn.id, "details": details}
