"""Waiting for what is observed."""

from __future__ import annotations

import asyncio

import pytest

from harness.testing.eventually import Eventually

pytestmark = pytest.mark.virtual_time


async def test_returns_the_value_that_satisfied():
    values = iter(range(100))
    assert await Eventually()(lambda: next(values), until=lambda value: value > 5) == 6


async def test_awaits_coroutines():
    async def value() -> str:
        await asyncio.sleep(1)
        return "there"

    assert await Eventually()(value) == "there"


async def test_names_what_did_not_happen_and_the_last_value():
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(AssertionError, match=r"the count did not happen within 4 s \(\d+ polls\); last value: 7"):
        await Eventually(scale=2)(lambda: 7, until=lambda value: value == 8, timeout=2, what="the count")
    assert loop.time() - began == pytest.approx(4, abs=0.1)


async def test_a_call_that_hangs_is_ended_by_the_deadline():
    with pytest.raises(AssertionError, match="no value yet"):
        await Eventually()(asyncio.Event().wait, timeout=1)


async def test_errors_of_the_callable_are_not_swallowed():
    def boom() -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        await Eventually()(boom)
