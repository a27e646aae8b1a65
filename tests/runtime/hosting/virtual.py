"""Runs a coroutine on virtual time."""

import asyncio

from harness.session.virtual_loop import VirtualLoop


def run_virtual(coroutine):
    """The result of the coroutine; time passes only while nothing can be done."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)


async def until(condition):
    """Wait for a transition of the host, which offers no event for it."""
    async with asyncio.timeout(100):
        while not condition():  # noqa: ASYNC110 - waits for the host's own transitions
            await asyncio.sleep(0.001)
