"""Runs a coroutine on virtual time."""

import asyncio

from harness.session.virtual_loop import VirtualLoop


def run_virtual(coroutine):
    """The result of the coroutine; time passes only while nothing can be done."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)
