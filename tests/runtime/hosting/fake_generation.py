"""A generation that does what a test tells it: stands in for `ActorTask` under the real host."""

import asyncio
from typing import ClassVar

from runtime.actor.lifecycle.states import LifecycleState
from runtime.errors import make_error


class Refused(Exception):
    """Raised by a planned stop that does not even begin."""


class FakeGeneration:
    """Records starts and stops; `plan` (by actor name) may hold `start` and `stop` coroutine functions."""

    plan: ClassVar[dict] = {}
    log: ClassVar[list] = []
    live: ClassVar[dict] = {}

    def __init__(self, definition, identity, host, storage):
        self.definition = definition
        self.identity = identity
        self.host = host
        self.fired = 0
        self.stopping = False
        self.on_ended = None
        self.state_name = LifecycleState.STARTED

    @classmethod
    def reset(cls):
        cls.plan, cls.log, cls.live = {}, [], {}

    async def start(self):
        assert self.identity.actor_id not in self.live, "generations overlap"
        self.live[self.identity.actor_id] = self
        self.log.append(("start", self.identity.generation))
        try:
            await self._planned("start")
        except BaseException:
            del self.live[self.identity.actor_id]
            raise

    async def stop(self, reason):
        self.stopping = True
        self.log.append(("stop", self.identity.generation, str(reason)))
        try:
            await self._planned("stop")
        except Refused:
            raise
        except BaseException:
            self._over()
            raise
        self._over()

    def _over(self):
        self.state_name = LifecycleState.TERMINATED
        del self.live[self.identity.actor_id]

    async def _planned(self, step):
        action = self.plan.get(step)
        if action is not None:
            await action(self)
        else:
            await asyncio.sleep(0)

    def accepting(self):
        if self.stopping:
            raise make_error("actor.stopping")

    def fire_alarm(self):
        self.fired += 1
        self.log.append(("alarm", self.identity.generation))
