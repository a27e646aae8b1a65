"""Random orders against the host: generations never overlap, every request ends, nothing is left behind."""

import asyncio
import random

import pytest

from runtime import clock
from runtime.errors import ActorError
from runtime.hosting.standalone.slot import SlotState
from runtime.storage.base import HOST_SCOPE
from tests.runtime.hosting.test_supervisor import World
from tests.runtime.hosting.virtual import run_virtual

EXPECTED = {
    "actor.not_found", "actor.destroyed_while_waiting_for_ready", "guard.actor_wake_retries_exceeded", "guard.actor_ready_timeout",
}  # fmt: skip


@pytest.mark.parametrize("seed", range(10))
def test_random_orders(seed, fake):
    chance = random.Random(seed)

    async def take_time(generation):
        await asyncio.sleep(chance.choice((0, 0, 0.01, 0.3, 2)))
        if chance.random() < 0.15:
            raise RuntimeError("fault")

    fake.plan.update(start=take_time, stop=take_time)

    async def request(world, slot):
        try:
            task = await world.host.ready(slot.actor_id)
        except ActorError as error:
            assert error.name in EXPECTED  # noqa: PT017 - one of several
            return
        assert task.identity.actor_id == slot.actor_id
        if chance.random() < 0.1:
            world.host.request_sleep(slot.actor_id, task.identity.generation)
        elif chance.random() < 0.05:
            world.host.request_destroy(slot.actor_id, task.identity.generation)

    async def order(world, key):
        slot, _ = await world.host.get_or_create(world.namespace, "thing", key, "default")
        pick = chance.random()
        if pick < 0.6:
            await request(world, slot)
        elif pick < 0.7:
            world.host.sleep(slot)
        elif pick < 0.8:
            world.host.reschedule(slot)
        elif pick < 0.9:
            await world.host.set_alarm(slot.actor_id, slot.record.generation, clock.now_ms() + chance.choice((-5, 10, 1000)))
        else:
            await world.host.destroy(slot)
            assert slot.state is SlotState.DESTROYED

    async def run():
        async with World() as world:
            pending = []
            for _ in range(300):
                pending.append(asyncio.create_task(order(world, chance.choice("abc"))))
                await asyncio.sleep(chance.choice((0, 0, 0.005, 0.2)))
            async with asyncio.timeout(3600):
                await asyncio.gather(*pending)
            generations = [entry[1] for entry in fake.log if entry[0] == "start"]
            assert len(generations) > 5
        assert fake.live == {}
        await world.storage.open()
        assert len(await world.storage.scan(HOST_SCOPE, "actors")) == len(world.host.slots) <= 3
        assert await world.storage.scan(HOST_SCOPE, "actors_erasing") == []

    run_virtual(run())
