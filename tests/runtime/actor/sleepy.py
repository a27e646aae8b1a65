"""An actor that is asked for everything that delays sleep."""

import asyncio

from tests.runtime.actor.support import Actor, Options, action


class Sleepy(Actor):
    options = Options(sleep_timeout=1.0, sleep_grace_period=5.0)
    state = {"wakes": 0, "sleeps": 0, "log": []}
    vars = {}

    def on_wake(self, c):
        c.state.wakes += 1

    async def on_sleep(self, c):
        c.state.sleeps += 1
        c.state.log.append(f"aborted={c.aborted}")

    @action
    def counts(self, c):
        return [c.state.wakes, c.state.sleeps]

    @action
    def log(self, c):
        return list(c.state.log)

    @action
    def sleep(self, c, times=1):
        for _ in range(times):
            c.sleep()
        return "asked"

    @action
    async def work(self, c, seconds):
        await asyncio.sleep(seconds)
        c.state.log.append("work done")
        return "worked"

    @action
    def keep(self, c, *seconds):
        for each in seconds:
            c.keep_awake(asyncio.sleep(each))

    @action
    def until(self, c, seconds):
        async def late():
            await asyncio.sleep(seconds)
            c.state.log.append("late")

        c.wait_until(late())

    @action
    def nested(self, c):
        async def inner():
            await asyncio.sleep(0.5)
            c.state.log.append("inner")

        async def outer():
            await asyncio.sleep(0.5)
            c.wait_until(inner())

        c.wait_until(outer())


async def lifetime(world, since):
    """Seconds from the loop time `since` until the actor sleeps."""
    await world.asleep()
    return asyncio.get_running_loop().time() - since


def now():
    return asyncio.get_running_loop().time()
