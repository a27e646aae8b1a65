"""What an inspector asks of one live actor.

Nearly all of it passes through `ActorView`; only the view, the token check and the opening of a socket know these members. The parts that
stand below are named by their classes, the rest by what is used of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from runtime.actor.connections.connection import Conn
    from runtime.actor.database.actor_database import ActorDatabase
    from runtime.actor.lifecycle.tracked_work import WorkTracker
    from runtime.actor.observer import Observer
    from runtime.actor.queue.message_queue import MessageQueue
    from runtime.actor.queue.records import StoredMessage
    from runtime.actor.schedule.book import ScheduleBook
    from runtime.actor.state.actor_state import ActorState
    from runtime.declaration.definition import ActorDefinition
    from runtime.declaration.options import Options
    from runtime.http import Request
    from runtime.inspector.token import TokenSettings
    from runtime.storage.actor import ActorStorage
    from runtime.storage.base import Op


class OpenConnections(Protocol):
    """The connections of the actor."""

    @property
    def view(self) -> Mapping[str, Conn]:
        """The open ones by id."""
        ...


class Saver(Protocol):
    """Who saves the state."""

    async def save_now(self) -> None:
        """Save what is unsaved; returns when durable."""


class Actions(Protocol):
    """Who runs actions."""

    async def call_action(self, name: str, args: list[Any], params: Any, request: Request | None) -> Any:
        """Run an action on a connection of its own."""

    async def run_detached(self, name: str, args: list[Any]) -> Any:
        """Run an action without a connection."""


class QueueSends(Protocol):
    """Who stores messages from outside."""

    async def enqueue(self, name: str, body: Any) -> StoredMessage:
        """Store one, whoever may send it."""
        ...


class Handler(Protocol):
    """The run handler."""

    @property
    def active(self) -> bool:
        """Whether it runs or is held."""
        ...

    def held(self) -> AbstractContextManager[None]:
        """Nothing starts it meanwhile; it is started afterwards."""
        ...


class InspectedHost(Protocol):
    """The host, as far as it decides about inspectors."""

    @property
    def options(self) -> TokenSettings:
        """Whether one fixed token replaces those of the actors."""
        ...


class InspectedActor(Protocol):
    """One generation of an actor. `ActorTask` is one."""

    workflow: object
    """The `WorkflowRun` of the generation while there is one; None makes the next run load the history anew."""
    observer: Observer | None
    """Who is told of changes."""

    @property
    def definition(self) -> ActorDefinition:
        """What the actor's class declares."""
        ...

    @property
    def options(self) -> Options:
        """The options of the declaration."""
        ...

    @property
    def host(self) -> InspectedHost:
        """Whose actor it is."""
        ...

    @property
    def storage(self) -> ActorStorage:
        """Where a stored history and the token are."""
        ...

    @property
    def log(self) -> Any:
        """The actor's logger."""
        ...

    @property
    def state(self) -> ActorState:
        """The tracked state."""
        ...

    @property
    def saver(self) -> Saver:
        """Who saves it."""
        ...

    @property
    def work(self) -> WorkTracker:
        """Counts what an inspector has the actor do."""
        ...

    @property
    def conns(self) -> OpenConnections:
        """The connections."""
        ...

    @property
    def actions(self) -> Actions:
        """Who runs actions."""
        ...

    @property
    def queue_sends(self) -> QueueSends:
        """Who stores messages from outside."""
        ...

    @property
    def queue(self) -> MessageQueue:
        """The durable queue."""
        ...

    @property
    def schedules(self) -> ScheduleBook:
        """The schedules."""
        ...

    @property
    def run(self) -> Handler:
        """The run handler."""
        ...

    @property
    def database(self) -> ActorDatabase:
        """The database of this generation."""
        ...

    def accepting(self) -> None:
        """Return if new work is accepted now; raises what a caller is told otherwise (TASK-022)."""

    async def commit(self, ops: Sequence[Op]) -> None:
        """One durable batch."""
