"""Hooks within their limits, without any actor."""

import asyncio
from types import SimpleNamespace

import pytest

from runtime.actor.hook_timeouts import call_limited, within
from runtime.declaration.functions import UserFunction
from runtime.errors import ActorError
from tests.runtime.parts import virtual

CHILDREN = SimpleNamespace(adopt=lambda work: asyncio.ensure_future(work))
NOBODY = SimpleNamespace(adopt=None)


async def doubled(number):
    await asyncio.sleep(1)
    return number * 2


@pytest.mark.parametrize(("function", "result"), [(lambda n: n + 1, 2), (lambda: 7, 7)])
@virtual
async def test_plain_functions_need_no_task(function, result):
    assert await call_limited(NOBODY, UserFunction.of(function), (1,), 0.1, "hook") == result


@pytest.mark.parametrize("function", [doubled, lambda n: doubled(n), lambda n: asyncio.ensure_future(doubled(n))])
@virtual
async def test_whatever_is_awaitable_is_awaited(function):
    assert await call_limited(NOBODY, UserFunction.of(function), (2,), None, "hook") == 4
    assert await call_limited(CHILDREN, UserFunction.of(function), (2,), 1.5, "hook") == 4


@virtual
async def test_over_the_limit_the_hook_goes_on():
    done = asyncio.Event()

    async def slow():
        await asyncio.sleep(2)
        done.set()
        raise ValueError("nobody hears of it")

    with pytest.raises(ActorError) as caught:
        await within(CHILDREN, slow(), 0.5, "onWake")
    assert (caught.value.name, caught.value.metadata) == ("actor.callback_timed_out", {"callback_name": "onWake", "duration_ms": 500})
    await done.wait()
