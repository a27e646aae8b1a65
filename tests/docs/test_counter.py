"""The example of docs/reference/actors.md does what its comments say."""

import asyncio
from pathlib import Path

from tests.runtime.actor.support import UNDEFINED, World, caught, virtual

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "actors.md"


@virtual
async def test_the_example():
    code = PAGE.read_text().split("```python\n")[1].split("```")[0]
    scope = {"__name__": "example"}
    exec(compile(code, str(PAGE), "exec"), scope)
    async with World(scope["Counter"]) as world:
        task = await world.start()
        assert await world.call("increment") == 1
        assert await world.call("increment", 2) == 3
        with caught("user.negative") as failure:
            await world.call("increment", -1)
        assert failure.error.metadata == {"amount": -1}
        await task.queue.send("jobs", {"add": 10})
        await asyncio.sleep(0.01)
        assert task.state.value.count == 13
        assert await world.call("log.clear") is UNDEFINED
        await world.asleep(within=10.1)
        await world.start()
        assert await world.call("increment", 0) == 13
