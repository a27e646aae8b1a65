"""Starts and stops generations on the engine's orders, and reports what becomes of them.

    STARTING -> RUNNING -> STOPPING -> over

An actor's place is the engine's to decide, so nothing begins or ends here unasked, but for a generation that cannot go on. Everything is
kept by actor *and* generation: the engine may start the next one here while the last still stops (ENGINE-076). Orders and wishes that
come at the wrong moment are remembered in the generation: a stop during its start, an intent before it runs.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Protocol

import structlog

from runtime.actor.lifecycle.task import ActorTask
from runtime.actor.ports import HostPort, StopKind, StopReason
from runtime.errors import is_end
from runtime.gateway.actor_headers import actor_headers
from runtime.gateway.live_actor import Live
from runtime.hosting.engine.generation import Generation, GenerationState
from runtime.hosting.engine.protocol.lives import IntentEvent, Running, SleepIntent, StateEvent, StopCode, StopIntent, Stopped
from runtime.hosting.generation import crash_text, declared, identify, stopped
from runtime.hosting.transitions import Transitions
from runtime.logs import FAULTS, LimitedLog, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from runtime.declaration.registry import Registry
    from runtime.hosting.engine.generation import Intent
    from runtime.hosting.engine.ports import Life
    from runtime.hosting.engine.protocol.lives import Inner, ParkedRequest, Reason, Start
    from runtime.storage.actor import ActorStorage

log = structlog.get_logger(__name__)

DESTROY_AHEAD = 0.25
"""Seconds by which the request to destroy an actor goes ahead of the report that its generation is over. The engine takes it meanwhile,
and answers when it has that report."""
ABANDONED = 5.0
"""Seconds that generations which nobody stopped in time get when this process ends."""


class LostActorError(Exception):
    """The engine gave the generation to somebody else, or may have."""


class EngineHome(HostPort, Protocol):
    """What generations of this host need of it, beside what every generation needs."""

    @property
    def registry(self) -> Registry:
        """The declared actors."""
        ...

    @property
    def namespace(self) -> str:
        """The namespace of all of them."""
        ...

    def report(self, life: Life, inner: Inner) -> None:
        """Tell the engine something of a generation."""

    def open_storage(self, life: Life, on_dead: Callable[[Exception], None]) -> ActorStorage:
        """Where a generation keeps what it keeps. `on_dead` is called on the loop when the engine refuses its writes for good."""
        ...

    def restore(self, life: Life, parked: Sequence[ParkedRequest]) -> None:
        """The gateways keep these WebSockets for the generation that starts."""

    def end_requests(self, life: Life) -> None:
        """The generation is over: let its requests and sockets go (ENGINE-082)."""

    async def mirror_token(self, task: ActorTask) -> None:
        """Copy the actor's inspector token to where the engine shows it (WIRE-112)."""

    async def destroy_actor(self, actor_id: str) -> None:
        """Have the engine destroy an actor, in whatever state it is; returns when that is done."""


class Generations:
    """Every generation of this process, by actor and number.

    Args:
        home: See `EngineHome`.
        on_over: Called with the actor's id when a generation is over, before that is reported, and with whether none follows.
    """

    def __init__(self, home: EngineHome, on_over: Callable[[str, bool], None] = lambda *_: None) -> None:
        self._home = home
        self._on_over = on_over
        self._all: dict[Life, Generation] = {}
        self._newest: dict[str, Generation] = {}
        self._transitions = Transitions()
        self._empty = asyncio.Event()
        self._empty.set()
        self._failed_starts = LimitedLog(log, "actor start failed", burst=FAULTS)

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Generation]:
        return iter(list(self._all.values()))

    def get(self, life: Life) -> Generation | None:
        """That generation, unless it is over."""
        return self._all.get(life)

    def newest(self, actor_id: str) -> Generation | None:
        """The generation that requests go to (ENGINE-076)."""
        return self._newest.get(actor_id)

    # Orders of the engine.

    def start(self, life: Life, start: Start) -> None:
        """Begin to start a generation; `Running` or `Stopped` tells how it went (ENGINE-077)."""
        if life in self._all:
            return
        generation = self._all[life] = Generation(life, start.config.name)
        self._empty.clear()
        before = self._newest.get(generation.actor_id)
        if before is None or before.life < life:
            self._newest[generation.actor_id] = generation
        self._transitions.run(self._start(generation, start))

    def stop(self, life: Life, reason: Reason) -> None:
        """Stop a generation; nothing happens for one that is not here (ENGINE-075) or that stops already (ENGINE-083)."""
        generation = self._all.get(life)
        if generation is not None:
            self._stop_for(generation, StopReason(reason.value))

    def lose(self, text: str, *, silent: bool = False) -> None:
        """Stop everything as lost: the engine has given it to others, or will have. `silent`: nothing is reported of it."""
        for generation in self:
            generation.lost = True
            generation.silent = generation.silent or silent
            self._stop_for(generation, StopReason.LOST, LostActorError(text))

    def _stop_for(self, generation: Generation, reason: StopReason, failure: BaseException | None = None) -> None:
        destroy = reason.kind is StopKind.DESTROY
        generation.lost = generation.lost or reason is StopReason.LOST
        if generation.state is GenerationState.RUNNING:
            self._begin_stop(generation, reason, failure)
        elif generation.state is GenerationState.STARTING:
            # The first order counts, but a destroy takes the place of a sleep.
            if generation.order is None or (destroy and generation.order.kind is not StopKind.DESTROY):
                generation.order = reason
                generation.failure = failure
        elif destroy and generation.destroying is not None:
            generation.destroying.set()

    # Wishes of generations.

    def ask_sleep(self, life: Life) -> None:
        """The generation wants to sleep; it goes on until the engine orders that (ENGINE-096)."""
        self._ask(life, SleepIntent())

    def ask_destroy(self, life: Life) -> None:
        """The generation wants its actor destroyed; it goes on until the engine orders that (ENGINE-096)."""
        self._ask(life, StopIntent())

    def _ask(self, life: Life, intent: Intent) -> None:
        generation = self._all.get(life)
        if generation is None:
            return
        if generation.state is GenerationState.STARTING:
            generation.held.append(intent)
        elif generation.state is GenerationState.RUNNING and generation.asked is None:
            generation.asked = intent
            self._report(generation, IntentEvent(intent))
        elif isinstance(intent, StopIntent) and not isinstance(generation.asked, StopIntent):
            self._destroy(generation)

    def _destroy(self, generation: Generation) -> None:
        """The engine takes no intent while the generation goes to sleep, and would make the end of that a sleep: it is asked otherwise."""
        reason = generation.stop_reason
        if generation.lost or generation.destroying is not None or (reason is not None and reason.kind is StopKind.DESTROY):
            return
        generation.destroying = asyncio.Event()
        self._transitions.run(self._ask_elsewhere(generation, generation.destroying))

    async def _ask_elsewhere(self, generation: Generation, heard: asyncio.Event) -> None:
        try:
            await self._home.destroy_actor(generation.actor_id)
        except Exception as error:
            log.error("actor could not be destroyed", actor_id=generation.actor_id, error=repr(error))
        finally:
            heard.set()

    # Transitions.

    async def _start(self, generation: Generation, start: Start) -> None:
        try:
            task = self._build(generation, start)
            await task.start()
        except BaseException as error:
            # Whatever it is: nobody else tells the engine, which would wait for the whole time that a start may take.
            await self._start_failed(generation, error)
            if is_end(error):
                raise
        else:
            self._started(generation, task)

    def _build(self, generation: Generation, start: Start) -> ActorTask:
        actor_id, number = generation.life
        config = start.config
        definition = declared(self._home.registry, config.name)
        identity = identify(
            actor_id, config.name, config.key, namespace=self._home.namespace, generation=number, input_cbor=config.input
        )  # fmt: skip
        storage = self._home.open_storage(generation.life, lambda error: self._ended_by_itself(generation, error))
        if start.parked:
            self._home.restore(generation.life, start.parked)
        task = generation.task = ActorTask(definition, identity, self._home, storage)
        generation.live = Live(task, actor_headers(actor_id, number, config.key))
        task.on_ended = lambda error: self._ended_by_itself(generation, error)
        return task

    def _started(self, generation: Generation, task: ActorTask) -> None:
        generation.state = GenerationState.RUNNING
        self._report(generation, StateEvent(Running()))
        generation.mirror = self._transitions.run(self._mirror(task))
        order, generation.order = generation.order, None
        if order is not None:
            self._begin_stop(generation, order, generation.failure)
        held, generation.held = generation.held, []
        for intent in held:
            self._ask(generation.life, intent)

    async def _mirror(self, task: ActorTask) -> None:
        try:
            await self._home.mirror_token(task)
        except Exception as error:
            # The next start does it.
            log.warning("inspector token not shown at the engine", actor_id=task.identity.actor_id, error=repr(error))

    async def _start_failed(self, generation: Generation, error: BaseException) -> None:
        # Anybody may create actors of names that nobody registered (WIRE-089).
        self._failed_starts.report(
            actor_id=generation.actor_id, name=shown(generation.name), generation=generation.life[1], error=shown(repr(error))
        )  # fmt: skip
        self._release(generation)
        self._over(generation, Stopped(StopCode.ERROR, crash_text(error)))

    def _begin_stop(self, generation: Generation, reason: StopReason, failure: BaseException | None = None) -> None:
        generation.state = GenerationState.STOPPING
        generation.stop_reason = reason
        self._transitions.run(self._stop(generation, reason, failure))

    async def _stop(self, generation: Generation, reason: StopReason, failure: BaseException | None) -> None:
        assert generation.task is not None
        error = await stopped(generation.task, reason)
        failure = failure or error
        self._release(generation)
        if generation.destroying is not None:
            await self._heard(generation.destroying)
        if failure is None and generation.lost:
            failure = LostActorError("actor lost")
        # Never OK for what nobody ordered: the engine would destroy the actor and erase its data (ENGINE-084).
        over = Stopped(StopCode.OK) if failure is None else Stopped(StopCode.ERROR, crash_text(failure))
        self._over(generation, over)

    @staticmethod
    async def _heard(destroying: asyncio.Event) -> None:
        """Do not let the end of a sleep overtake the order to destroy: a request would start the actor once more in between."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DESTROY_AHEAD):
                await destroying.wait()

    def _release(self, generation: Generation) -> None:
        """Let go of what is kept for a generation. Its database it has closed itself (ENGINE-081)."""
        if generation.mirror is not None:
            generation.mirror.cancel()
        self._home.end_requests(generation.life)

    def _over(self, generation: Generation, over: Stopped) -> None:
        generation.state = GenerationState.OVER
        generation.task = generation.live = None
        del self._all[generation.life]
        if self._newest.get(generation.actor_id) is generation:
            del self._newest[generation.actor_id]
        if not self._all:
            self._empty.set()
        reason = generation.stop_reason
        self._on_over(generation.actor_id, reason is not None and reason.kind is StopKind.DESTROY)
        # Last of its events, and last of all that happens: the next one may start elsewhere as soon as this is read (ENGINE-081).
        self._report(generation, StateEvent(over))

    def _ended_by_itself(self, generation: Generation, failure: BaseException | None) -> None:
        """The generation cannot go on although nobody ordered its end: what is left of it is stopped, and the engine told of a crash."""
        self._stop_for(generation, StopReason.LOST, failure or LostActorError("actor ended"))

    def _report(self, generation: Generation, inner: Inner) -> None:
        if not generation.silent:
            self._home.report(generation.life, inner)

    # The end of the process.

    async def drained(self, within: float) -> bool:
        """Wait up to that many seconds until the engine has moved everything elsewhere (ENGINE-200); whether it has."""
        try:
            async with asyncio.timeout(within):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """End what is left, without waiting for the engine (ENGINE-201). Nothing of this runs when it returns."""
        self.lose("the envoy has shut down")
        await self.drained(ABANDONED)
        await self._transitions.cancel()
