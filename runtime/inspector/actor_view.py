"""What an inspector sees of one live actor, and what it may change; shared by the HTTP API and the WebSocket protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.actor.lifecycle.tracked_work import WorkKind
from runtime.actor.state.tracking import plain
from runtime.errors import make_error
from runtime.inspector.token import is_authorized
from runtime.protocol.values import UNDEFINED
from runtime.workflow import BoundWorkflow
from runtime.workflow.history import TABLE, History
from runtime.workflow.replay import rewind
from runtime.workflow.workflow_run import WorkflowRun

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runtime.actor.connections.connection import Conn
    from runtime.actor.lifecycle.tracked_work import Region
    from runtime.actor.observer import Observer
    from runtime.actor.queue.records import StoredMessage
    from runtime.actor.schedule.records import Schedule
    from runtime.declaration.tabs import InspectorTab
    from runtime.inspector.ports import InspectedActor


class ActorView:
    """Reads and changes of one generation. Calls count as work, so the actor stays awake meanwhile (INSP-004)."""

    def __init__(self, actor: InspectedActor) -> None:
        self._actor = actor

    def working(self) -> Region:
        """A context manager: the actor stays awake while an inspector has it do something."""
        return self._actor.work.region(WorkKind.INTERNAL_KEEP_AWAKE)

    @property
    def log(self) -> Any:
        """The actor's logger."""
        return self._actor.log

    @property
    def tabs(self) -> Sequence[InspectorTab]:
        """The declared tabs (INSP-118)."""
        return self._actor.definition.inspector_tabs

    async def is_open_to(self, token: str | None) -> bool:
        """Whether a token admits its bearer (INSP-010..018)."""
        return await is_authorized(self._actor.host.options, self._actor.storage, token)

    @property
    def observer(self) -> Observer | None:
        """Who is told of changes of this generation."""
        return self._actor.observer

    @observer.setter
    def observer(self, observer: Observer | None) -> None:
        self._actor.observer = observer

    @property
    def has_state(self) -> bool:
        """Whether the actor has state."""
        return self._actor.definition.has_state

    @property
    def is_workflow(self) -> bool:
        """Whether the run handler is a workflow (WF-004)."""
        run = self._actor.definition.hooks.get("run")
        return run is not None and isinstance(run.function, BoundWorkflow)

    def state(self) -> Any:
        """The current in-memory state, unsaved changes included (INSP-030)."""
        # Without the tracking around it: an inspector that changed what it was shown must not change the actor.
        return plain(self._actor.state.value)

    async def replace_state(self, value: Any) -> None:
        """Replace the whole state and save it at once (INSP-032, INSP-033).

        Raises:
            ActorError: actor.state_not_enabled (INSP-035).
        """
        if not self.has_state:
            raise make_error("actor.state_not_enabled")
        with self.working():
            # As user code would, flush included, so that `on_state_change` runs and watchers are told as of any other change.
            self._actor.state.replace(value)
            self._actor.state.flush()
            await self._actor.saver.save_now()

    def connections(self) -> list[dict[str, Any]]:
        """Open connections (INSP-040, INSP-041)."""
        return [_connection(conn) for conn in self._actor.conns.view.values()]

    def actions(self) -> list[str]:
        """Action names in ascending order (INSP-045)."""
        return sorted(self._actor.definition.actions)

    async def run_action(self, name: str, args: list[Any]) -> Any:
        """Run an action without a connection (INSP-050, INSP-058).

        Raises:
            ActorError: action.action_not_found; what the handler raised.
        """
        if name not in self._actor.definition.actions:
            raise make_error("action.action_not_found", message=f"Action {name} not found", name=name)
        with self.working():
            return await self._actor.actions.run_detached(name, args)

    async def call_action(self, name: str, args: list[Any]) -> Any:
        """Run an action as a client would, on a connection of its own (INSP-154)."""
        return await self._actor.actions.call_action(name, args, None, None)

    @property
    def queue_size(self) -> int:
        """The number of stored messages."""
        return len(self._actor.queue)

    @property
    def max_queue_size(self) -> int:
        """How many messages the queue may hold."""
        return self._actor.options.max_queue_size

    def queued(self, limit: int) -> tuple[int, Sequence[StoredMessage]]:
        """The number of stored messages and the first `limit` of them, without bodies (INSP-060..063)."""
        messages = self._actor.queue.messages
        return len(messages), messages[:limit]

    async def enqueue(self, name: str, body: Any) -> StoredMessage:
        """Store a message as a client's send would, whatever its name (INSP-064).

        Raises:
            ActorError: actor.invalid_request for an empty name; the queue's own limits.
        """
        # The queue itself takes any text for a name; that an empty one is refused is a rule of the inspector (INSP-064).
        if not name:
            raise make_error("actor.invalid_request", message="Queue message name must not be empty")
        with self.working():
            return await self._actor.queue_sends.enqueue(name, body)

    async def clear_queue(self) -> None:
        """Remove all messages (INSP-068)."""
        with self.working():
            await self._actor.queue.clear()

    async def workflow_history(self) -> History | None:
        """The workflow's history; None for another actor."""
        if not self.is_workflow:
            return None
        # A workflow keeps its history in memory while its actor lives, and what it has not flushed yet is in no storage.
        return self.live_history or History.load(await self._actor.storage.scan(TABLE))

    @property
    def live_history(self) -> History | None:
        """The history in memory; None while no workflow has run in this generation."""
        live = self._actor.workflow
        # The actor keeps it without knowing what it is, as it stands below workflows.
        return live.history if isinstance(live, WorkflowRun) else None

    async def replay_workflow(self, entry_id: str | None) -> History | None:
        """Rewind and restart the workflow; the history after the deletion (INSP-100, WF-210..217).

        Raises:
            ActorError: actor.workflow_in_flight.
            ValueError: The entry is unknown or is no step.
        """
        if not self.is_workflow:
            return None
        with self.working():
            # The stored history is rewound, not the live one: when the commit fails nothing has changed.
            history = History.load(await self._actor.storage.scan(TABLE))
            # Asked after the read and not before: from here to the hold nothing awaits, so no handler can start in between.
            if self._actor.run.active:
                raise make_error("actor.workflow_in_flight")
            rewind(history, entry_id)
            writes, deletions, _ = history.take_changes()
            with self._actor.run.held():
                await self._actor.commit([*writes, *deletions])
                # The handler that starts now loads the history that was stored a line before.
                self._actor.workflow = None
        return history

    def schedules(self) -> Sequence[Schedule]:
        """Pending one-shots by time, then recurring schedules by name."""
        return [*self._actor.schedules.pending(), *self._actor.schedules.recurring()]

    def fires(self, schedule_id: str, limit: int) -> Sequence[Mapping[str, Any]]:
        """Recorded fires of a recurring schedule, newest first."""
        return self._actor.schedules.history.of(schedule_id, limit)

    async def remove_schedule(self, schedule_id: str, *, recurring: bool) -> bool:
        """Cancel a schedule; whether there was one (INSP-157)."""
        return await self._actor.schedules.remove(schedule_id, recurring=recurring)

    async def database(self) -> Any:
        """A database client; every actor has one here (DB-003)."""
        return await self._actor.database.inspector_client()


def _connection(conn: Conn) -> dict[str, Any]:
    params, state = conn.stored_values()
    # `stateEnabled` is true for all: a connection always may have state here, and one without shows none (INSP-041).
    details: dict[str, Any] = {"type": None, "params": params, "stateEnabled": True}
    if state is not UNDEFINED:
        details["state"] = plain(state)
    details |= {"subscriptions": len(conn.subscriptions), "isHibernatable": conn.is_hibernatable}
    return {"type": None, "id": conn.id, "details": details}
