"""One actor under a host that does what a control plane does, on virtual time."""

import asyncio
import functools
import inspect
import itertools

from prometheus_client.parser import text_string_to_metric_families

from harness.session.virtual_loop import VirtualLoop
from runtime.actor.connections.raw.close_ack import CloseLedger
from runtime.actor.database.pool import DatabasePool
from runtime.actor.lifecycle.task import ActorTask
from runtime.actor.ports import ActorIdentity, StopReason
from runtime.declaration.actions import action
from runtime.declaration.actor import Actor
from runtime.declaration.definition import ActorDefinition
from runtime.declaration.options import Options
from runtime.errors import ActorError
from runtime.hosting.options import HostOptions
from runtime.hosting.standalone.actor_storage import GenerationStorage
from runtime.metrics.registry import Metrics
from runtime.protocol.values import UNDEFINED
from runtime.storage.memory import MemoryStorage

__all__ = ["UNDEFINED", "Actor", "Options", "StopReason", "World", "action", "caught", "virtual"]

_ids = itertools.count(1)


def virtual(body):
    """Run an `async def` test on virtual time."""

    @functools.wraps(body)
    def test(*args, **kwargs):
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(body(*args, **kwargs))

    test.__signature__ = inspect.signature(body)
    return test


class caught:
    """`with caught("actor.stopping"):` the block raises exactly that structured error; it is `.error` afterwards."""

    def __init__(self, name):
        self.name = name
        self.error = None

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        assert isinstance(error, ActorError), f"expected {self.name}, got {error!r}"
        assert f"{error.group}.{error.code}" == self.name
        self.error = error
        return True


class FailingStorage(MemoryStorage):
    """Refuses commits while `broken`; `commits` are the accepted batches."""

    def __init__(self):
        super().__init__()
        self.broken = False
        self.commits = []
        self.latency = 0.0

    async def commit(self, scope, ops):
        ops = list(ops)
        if self.latency:
            await asyncio.sleep(self.latency)
        if self.broken:
            raise OSError("disk full")
        self.commits.append(ops)
        await super().commit(scope, ops)

    def state_saves(self):
        return [op for batch in self.commits for op in batch if getattr(op, "table", "") == "actor" and op.key == b"state"]


class World:
    """One actor and its host. `auto`: intents and alarms are obeyed like by a real host, wakes included.

    Attributes:
        task: The live generation, None while asleep.
        intents: What the actor asked for, in order.
        alarms: What was pushed, in order.
    """

    def __init__(self, actor, *, input=UNDEFINED, auto=True, options=None):
        self.definition = ActorDefinition.of(actor)
        self.storage = FailingStorage()
        self.options = options or HostOptions()
        self.metrics = Metrics()
        self.intents = []
        self.alarms = []
        self.alarm = None
        self.auto = auto
        self.input = input
        self.actor_id = f"actor-{next(_ids)}"
        self.generation = 0
        self.task = None
        self.destroyed = False
        self.stop_error = None
        self.crash = None
        self.close_acks = CloseLedger()
        self._stopping = None
        self._changed = asyncio.Event()

    async def __aenter__(self):
        await self.storage.open()
        return self

    async def __aexit__(self, *_):
        if self.task is not None and self._stopping is None:
            await self.stop(StopReason.GOING_AWAY)
        while self._stopping is not None:
            await asyncio.wait([self._stopping])
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not others, f"left behind: {others}"

    # HostPort.

    def request_sleep(self, actor_id, generation):
        self.intents.append("sleep")
        self._order(StopReason.SLEEP_INTENT)

    def request_destroy(self, actor_id, generation):
        self.intents.append("destroy")
        self._order(StopReason.STOP_INTENT)

    def _order(self, reason):
        if not self.auto:
            return
        if self._stopping is None:
            self._stopping = asyncio.ensure_future(self._stop(reason))
        elif reason.kind == "destroy":
            self.destroy_after = True

    async def set_alarm(self, actor_id, generation, at_ms):
        self.alarms.append(at_ms)
        self.alarm = at_ms

    def client(self, actor_id):
        raise RuntimeError("no gateway here")

    def open_sockets(self, actor_id):
        return []

    # The control plane.

    async def start(self):
        assert self.task is None
        self.generation += 1
        identity = ActorIdentity(self.actor_id, self.definition.name, ("k",), "default", self.generation, self.input)
        task = ActorTask(self.definition, identity, self, self.generation_storage())
        task.on_ended = lambda error: setattr(self, "crash", error)
        self.task = task
        try:
            await task.start()
        except BaseException:
            self.task = None
            raise
        self._signal()
        return task

    def generation_storage(self):
        return GenerationStorage(self.storage, self.actor_id, self.generation, DatabasePool(1))

    async def stop(self, reason=StopReason.SLEEP_INTENT):
        await self._stop(reason)

    async def _stop(self, reason):
        self._stopping = asyncio.current_task() if self._stopping is None else self._stopping
        try:
            await self.task.stop(reason)
        except Exception as error:
            self.stop_error = error
            if self.auto is False:
                raise
        finally:
            if reason.kind == "destroy" and self.stop_error is None:
                self.destroyed = True
            self.task = None
            self._stopping = None
            self._signal()

    def _signal(self):
        self._changed.set()
        self._changed = asyncio.Event()

    async def asleep(self, within=60.0):
        """Wait until no generation lives."""
        async with asyncio.timeout(within):
            while self.task is not None:
                await self._changed.wait()

    async def restart(self, reason=StopReason.SLEEP_INTENT):
        await self.stop(reason)
        return await self.start()

    async def call(self, name, *args):
        return await self.task.actions.call_action(name, list(args), None, None)

    def metrics_ending(self, suffix, **labels):
        """The values of the rendered samples with such a name and these labels."""
        families = text_string_to_metric_families(self.metrics.render().decode())
        samples = (sample for family in families for sample in family.samples if sample.name.endswith(suffix))
        return [sample.value for sample in samples if labels.items() <= sample.labels.items()]

    def metric(self, suffix, **labels):
        """The first of them, or None."""
        return next(iter(self.metrics_ending(suffix, **labels)), None)
