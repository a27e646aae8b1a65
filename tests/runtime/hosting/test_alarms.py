import asyncio

from runtime import clock
from runtime.hosting.standalone.alarms import AlarmClock
from tests.runtime.hosting.virtual import run_virtual


def test_alarms_fire_in_order_and_never_early():
    async def scenario():
        fired = []
        alarms = AlarmClock(lambda actor: fired.append((actor, clock.now_ms())))
        start = clock.now_ms()
        for actor, delay in (("b", 2000), ("a", 1000), ("c", 3000)):
            alarms.set(actor, start + delay)
        await asyncio.sleep(10)
        assert [actor for actor, _ in fired] == ["a", "b", "c"]
        for (_, at), delay in zip(fired, (1000, 2000, 3000), strict=True):
            assert start + delay <= at <= start + delay + 2
        assert len(alarms) == 0

    run_virtual(scenario())


def test_a_replaced_alarm_fires_once_at_its_new_time():
    async def scenario():
        fired = []
        alarms = AlarmClock(lambda actor: fired.append(clock.now_ms()))
        start = clock.now_ms()
        alarms.set("a", start + 1000)
        alarms.set("a", start + 5000)
        await asyncio.sleep(2)
        assert fired == []
        await asyncio.sleep(10)
        assert len(fired) == 1

    run_virtual(scenario())


def test_a_cleared_alarm_does_not_fire():
    async def scenario():
        fired = []
        alarms = AlarmClock(fired.append)
        alarms.set("a", clock.now_ms() + 1000)
        alarms.set("a", None)
        await asyncio.sleep(5)
        assert fired == []

    run_virtual(scenario())


def test_an_overdue_alarm_fires_at_once_and_a_far_one_is_kept():
    async def scenario():
        fired = []
        alarms = AlarmClock(fired.append)
        alarms.set("late", clock.now_ms() - 10_000)
        alarms.set("far", clock.now_ms() + 40 * 86_400_000)
        await asyncio.sleep(0.01)
        assert fired == ["late"]
        await asyncio.sleep(41 * 86_400)
        assert fired == ["late", "far"]

    run_virtual(scenario())


def test_replacing_alarms_does_not_grow_memory():
    async def scenario():
        alarms = AlarmClock(lambda actor: None)
        start = clock.now_ms() + 1_000_000
        for number in range(10_000):
            alarms.set("a", start + number)
        assert len(alarms._heap) < 200

    run_virtual(scenario())


def test_an_alarm_set_while_another_fires_is_kept():
    async def scenario():
        fired = []

        def due(actor):
            fired.append(actor)
            if len(fired) < 3:
                alarms.set(actor, clock.now_ms() + 1000)

        alarms = AlarmClock(due)
        alarms.set("a", clock.now_ms() + 1000)
        await asyncio.sleep(10)
        assert fired == ["a"] * 3

    run_virtual(scenario())
