"""What the parts of this room ask of the actor that their connections belong to.

Why a Protocol and not the actor itself: the actor is built of these parts, so a part that knew it could neither be imported nor built
without the whole. What a part needs beyond this it says in its own file, as a Protocol that extends this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import asyncio

    from runtime.actor.connections.connection import Conn
    from runtime.actor.lifecycle.tracked_work import WorkTracker
    from runtime.actor.ports import ActorIdentity
    from runtime.declaration.definition import ActorDefinition
    from runtime.declaration.options import Options
    from runtime.http import Request


class ConnOwner(Protocol):
    """One generation of an actor, as its connections see it."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that the actor runs on."""
        ...

    @property
    def identity(self) -> ActorIdentity:
        """Who the generation is."""
        ...

    @property
    def definition(self) -> ActorDefinition:
        """What its class declares."""
        ...

    @property
    def options(self) -> Options:
        """The actor's limits."""
        ...

    @property
    def answers_probes(self) -> bool:
        """Whether raw sockets answer the acknowledgement probe of tests (WIRE-632)."""
        ...

    @property
    def log(self) -> Any:
        """A structlog logger bound to the actor."""
        ...

    @property
    def work(self) -> WorkTracker:
        """Where work is counted and started."""
        ...

    # What a context is, only user code knows; here it is made and passed on.
    def context(self, conn: Conn | None = None, request: Request | None = None) -> object:
        """A fresh context for one invocation of user code."""
        ...

    async def call_hook(self, hook: str, context: object, *args: Any, timeout: float | None, label: str) -> Any:
        """Run a hook of the definition; `timeout` in seconds. Raises what the hook raised, or `actor.callback_timed_out`."""
        ...
