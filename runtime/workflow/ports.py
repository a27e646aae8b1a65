"""What a workflow asks of the actor whose run handler it is, and of the context that the handler got.

A workflow is user code like any other run handler: it takes messages, saves state and asks to be woken by the same means, and its own rows
travel in the actor's saves (WF-140). So it needs few members, and a test gives it those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from runtime.actor.lifecycle.abort import AbortSignal
    from runtime.actor.lifecycle.states import LifecycleState
    from runtime.actor.observer import Part
    from runtime.storage.actor import ActorStorage
    from runtime.storage.base import Op


class Messages(Protocol):
    """The actor's queue as one invocation sees it."""

    async def send(self, name: str, body: Any = None) -> object:
        """Store a message."""

    def sizes(self, names: Iterable[str] | None = None, *, count: int = 1) -> list[int]:
        """Bytes of the bodies of up to `count` stored messages, in the order in which they would be received."""
        ...

    async def try_next_batch(self, names: Iterable[str] | None = None, *, count: int = 1, completable: bool = False) -> list[Any]:
        """Up to `count` stored messages, none when there is none."""
        ...

    async def wait_for_names_available(self, names: Iterable[str], *, timeout: float | None = None) -> object:
        """Return when a message of such a name is stored; raises queue.timed_out or actor.aborted."""

    async def complete(self, message: Mapping[str, Any], response: Any = None) -> object:
        """Remove a message and answer its sender."""


class Entries(Protocol):
    """The actor's key-value entries."""

    async def put(self, key: str, value: str) -> object:
        """Store an entry."""


class RunHandler(Protocol):
    """Control over the run handler."""

    async def set_wake_at(self, epoch_ms: int | None) -> object:
        """Have the handler active at that time, None for no time."""


class RunContext(Protocol):
    """What the run handler of a workflow actor got: `Context`."""

    @property
    def actor_id(self) -> str:
        """The actor's id, which is the workflow's too (WF-002)."""
        ...

    @property
    def name(self) -> str:
        """The actor's registered name."""
        ...

    @property
    def key(self) -> tuple[str, ...]:
        """The elements of the actor's key."""
        ...

    @property
    def log(self) -> Any:
        """The actor's logger."""
        ...

    @property
    def state(self) -> Any:
        """The tracked state; raises actor.state_not_enabled without one."""
        ...

    @property
    def queue(self) -> Messages:
        """The queue."""
        ...

    @property
    def kv(self) -> Entries:
        """The key-value entries."""
        ...

    @property
    def run(self) -> RunHandler:
        """The handler that the workflow is."""
        ...

    def wait_until(self, work: Awaitable[Any]) -> None:
        """Hand work to the generation, which waits for it before it ends."""


class Saver(Protocol):
    """Who saves the actor's state."""

    async def save_now(self, extra: Callable[[], Sequence[Op]] = tuple) -> None:
        """Save what is unsaved with `extra` rows in the same batch; returns when durable."""


class Declared(Protocol):
    """What the actor's class declares."""

    @property
    def has_state(self) -> bool:
        """Whether there is state."""
        ...


class WorkflowOwner(Protocol):
    """One generation of a workflow actor."""

    workflow: object
    """The `WorkflowRun` while there is one; inspectors look at its history."""

    @property
    def definition(self) -> Declared:
        """What the actor's class declares."""
        ...

    @property
    def storage(self) -> ActorStorage:
        """Where the history is read from."""
        ...

    @property
    def saver(self) -> Saver:
        """Takes the workflow's rows into its batches."""
        ...

    @property
    def abort(self) -> AbortSignal:
        """Fires when grace begins."""
        ...

    @property
    def state_name(self) -> LifecycleState:
        """How far the generation is."""
        ...

    @property
    def log(self) -> Any:
        """The actor's logger."""
        ...

    def context(self) -> RunContext:
        """A fresh context: a queue view that holds no message."""
        ...

    def changed(self, part: Part) -> None:
        """Tell whoever watches."""

    async def commit(self, ops: Sequence[Op]) -> None:
        """One durable batch; raises actor.stopping once the generation is over."""


class OwnedContext(RunContext, Protocol):
    """The run handler's context, which knows whose it is."""

    @property
    def _task(self) -> WorkflowOwner: ...
