"""A host for generations that do what a test says, and that notes what is done with it."""

import asyncio

from runtime.actor.lifecycle.states import LifecycleState
from runtime.declaration.definition import Actor
from runtime.declaration.registry import Registry
from runtime.errors import make_error
from runtime.hosting.engine.protocol.lives import ActorConfig, IntentEvent, Running, Start, StateEvent, StopCode


class Thing(Actor):
    name = "thing"


class FakeTask:
    """A generation. `starting` and `stopping` are awaited by start and stop; both may raise."""

    def __init__(self, definition, identity, host, storage):
        self.definition, self.identity, self.host, self.storage = definition, identity, host, storage
        self.state_name = LifecycleState.LOADING
        self.on_ended = None
        self.stops = []
        host.tasks[identity.actor_id, identity.generation] = self

    async def start(self):
        await self.host.starting(self)
        self.state_name = LifecycleState.STARTED

    async def stop(self, reason):
        self.stops.append(str(reason))
        self.state_name = LifecycleState.SLEEP_GRACE
        try:
            await self.host.stopping(self)
        finally:
            self.state_name = LifecycleState.TERMINATED

    def accepting(self):
        if self.state_name is LifecycleState.LOADING:
            raise make_error("actor.starting")
        if self.state_name is not LifecycleState.STARTED:
            raise make_error("actor.stopping")


class FakeHome:
    """Notes in `done`, in order, what generations report and what is released for them."""

    namespace = "home"

    def __init__(self):
        self.registry = Registry(Thing)
        self.tasks, self.done, self.dead = {}, [], {}
        self.destroyed = asyncio.Event()
        self.destroys = []
        self.restored = []

    def did(self, what, life):
        self.done.append((what, *life))

    async def starting(self, task):
        await asyncio.sleep(0)

    async def stopping(self, task):
        await asyncio.sleep(0)

    def report(self, life, inner):
        self.did(said(inner), life)

    def open_storage(self, life, on_dead):
        self.dead[life] = on_dead

    def restore(self, life, parked):
        self.restored.append((life, tuple(parked)))

    def end_requests(self, life):
        self.did("ended", life)

    async def mirror_token(self, task):
        pass

    async def destroy_actor(self, actor_id):
        self.destroys.append(actor_id)
        await self.destroyed.wait()

    def of(self, number, actor_id="a"):
        """What was done with a generation."""
        return [what for what, *life in self.done if life == [actor_id, number]]


def said(inner):
    """A report in a word or two."""
    if isinstance(inner, IntentEvent):
        return type(inner.intent).__name__
    if isinstance(inner, StateEvent):
        state = inner.state
        if isinstance(state, Running):
            return "Running"
        return "Stopped" if state.code is StopCode.OK else f"Failed: {state.message}"
    return f"alarm {inner.at_ms}"


def order(name="thing", parked=(), given=None):
    """The order to start an actor."""
    return Start(ActorConfig(name, None, 0, given), parked)


async def settled():
    """Let everything happen that waits for nothing."""
    for _ in range(30):
        await asyncio.sleep(0)
