"""Suite state-coercion: a state checked against a schema at every start."""

from __future__ import annotations

import pytest

from harness import requirement, suite, timing, untimed

pytestmark = [suite("state-coercion"), timing]


@requirement("RUN-106")
@untimed
async def test_defaults(conform):
    """A new actor has the schema's defaults."""
    assert await conform.get_or_create("stateZodCoercionActor").action("getState") == {"count": 0, "label": "default"}


@requirement("RUN-106", "SLEEP-090")
@pytest.mark.parametrize(("count", "label"), [(42, "custom"), (-1, ""), (0.5, "fraction")])
async def test_valid_state_survives(conform, boundary, count, label):
    """Valid values come back after a sleep."""
    actor = conform.get_or_create("stateZodCoercionActor")
    await actor.action("setCount", count)
    await actor.action("setLabel", label)
    await boundary.sleep(actor)
    assert await conform.get_or_create("stateZodCoercionActor").action("getState") == {"count": count, "label": label}


@requirement("START-060", "START-062")
async def test_invalid_state_fails_the_start(conform, expect_error, boundary):
    """A state that does not fit fails the wake with a structured error."""
    actor = conform.get_or_create("stateZodCoercionActor")
    await actor.action("setCount", "not a number")
    await boundary.sleep(actor)
    async with expect_error("guard", "actor_wake_retries_exceeded"):
        await conform.get_or_create("stateZodCoercionActor").action("getState")
