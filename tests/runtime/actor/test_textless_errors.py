"""Errors of user code whose text is code, too, and fails: what is told of a failure is not what breaks."""

import asyncio
import re

import pytest
from structlog.testing import capture_logs

from runtime.errors import said_by
from runtime.hosting.generation import crash_text
from runtime.logs import error_fields
from tests.runtime.actor.support import Actor, World, action, virtual


class Raising(Exception):
    def __str__(self):
        raise ValueError("no text")

    __repr__ = __str__


class Strange(Exception):
    def __str__(self):
        return 5


@pytest.mark.parametrize("kind", [Raising, Strange])
def test_what_is_said_by_them(kind):
    """METRIC-060, METRIC-070: whoever tells of such an error names its class."""
    for text in (said_by(kind()), error_fields(kind())["error"], crash_text(kind())):
        assert re.search(kind.__name__, text)


@pytest.mark.parametrize("kind", [Raising, Strange])
@virtual
async def test_what_comes_after_them_is_done(kind):
    """TASK-306, RUN-003: a fire is recorded as failed, a handler and tracked work are told of, calls are answered."""

    class Textless(Actor):
        name = "textless"

        @action
        async def begin(self, c):
            await c.cron.every(name="t", interval=5, action="tick")
            c.wait_until(self.fail())
            c.keep_awake(self.fail())

        @action
        def tick(self, c, fire):
            raise kind

        @action
        async def results(self, c):
            return [fire["result"] for fire in await c.cron.history("t")]

        async def run(self, c):
            raise kind

        def on_sleep(self, c):
            raise kind

        async def fail(self):
            raise kind

    with capture_logs() as records:
        async with World(Textless) as world:
            await world.start()
            await world.call("begin")
            await asyncio.sleep(6)
            assert await world.call("results") == ["error"]
            with pytest.raises(kind):
                await world.call("tick", None)
    told = [record["event"] for record in records]
    for event in ("run handler failed", "scheduled event execution failed", "cleanup hook failed"):
        assert event in told
    assert sum(f"promise rejected: <{kind.__name__} that has no text>" in event for event in told) == 2
