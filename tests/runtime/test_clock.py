import asyncio
import time

import pytest

from runtime import clock
from tests.runtime.parts import virtual


def test_without_a_loop_it_is_the_clock_of_the_machine():
    assert abs(clock.wall_time() - time.time()) < 5
    assert abs(clock.now_ms() - time.time() * 1000) < 5000


@virtual
async def test_on_a_virtual_loop_all_times_jump_together():
    wall, loop = clock.wall_time(), clock.monotonic()
    await clock.sleep(3600)
    assert clock.wall_time() - wall == pytest.approx(3600, abs=0.1)
    assert clock.monotonic() - loop == pytest.approx(3600, abs=0.1)


@virtual
async def test_delays_that_are_over_or_no_number_end_at_once():
    fired, before = [], clock.monotonic()
    clock.call_later(-5, fired.append, "late")
    await clock.sleep(-5)
    await clock.sleep(float("nan"))
    await asyncio.sleep(0)
    assert fired == ["late"]
    assert clock.monotonic() - before < 1


@pytest.mark.parametrize(("seconds", "shown"), [(1.5, 1500), (0.0005, 0.5), (0, 0)])
def test_durations_are_whole_milliseconds_where_possible(seconds, shown):
    assert clock.milliseconds(seconds) == shown
    assert type(clock.milliseconds(seconds)) is type(shown)


def test_what_takes_less_than_a_millisecond_has_a_length_on_every_loop():
    """Loops other than asyncio's may count milliseconds."""

    class Coarse(asyncio.SelectorEventLoop):
        def time(self):
            return int(super().time() * 1000) / 1000

    async def lengths():
        began = clock.monotonic()
        while (length := clock.monotonic() - began) == 0:
            pass
        return length

    with asyncio.Runner(loop_factory=Coarse) as runner:
        assert runner.run(lengths()) < 0.001
