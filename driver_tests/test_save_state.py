"""Suite save-state: immediate and deferred saves while an action blocks."""

from __future__ import annotations

import pytest

from harness import requirement, suite, timing

pytestmark = [suite("save-state"), timing]


async def blocked(conform, eventually, action, *args):
    """Start a blocking save action and wait until the observer knows its phase; returns the phase."""
    actor = conform.get_or_create("saveStateActor")
    await actor.action("getValue")
    conform.spawn(actor.action(action, *args))
    observer = conform.get_or_create("saveStateObserver", ["observer"])
    return await eventually(
        lambda: observer.action("getPhase", "/".join(conform.key)), until=lambda phase: phase is not None, what="the phase"
    )


@requirement("RUN-141", "TASK-020")
async def test_immediate_save_resolves_while_the_action_goes_on(conform, eventually):
    """An immediate save returns; other actions see the value while the saving one blocks."""
    assert await blocked(conform, eventually, "saveImmediateAndBlock", 11) == "immediate"
    assert await conform.get_or_create("saveStateActor").action("getValue") == 11


@requirement("RUN-142", "TASK-020")
async def test_deferred_save_resolves_at_once(conform, eventually):
    """A save with a maximum wait returns at once."""
    assert await blocked(conform, eventually, "saveDeferredAndBlock", 12, 50) == "deferred"
    assert await conform.get_or_create("saveStateActor").action("getValue") == 12


@requirement("RUN-101", "RUN-140")
async def test_observer_forgets_on_reset(conform, boundary, eventually):
    """The removal of a nested value is a state change: it is there for the next call and after a sleep, and takes nothing else with it."""
    observer = conform.get_or_create("saveStateObserver")
    for name in ("kept", "removed"):
        await observer.action("recordPhase", name, "known")
    await boundary.sleep(observer, via="api")
    observer = conform.get_or_create("saveStateObserver")
    assert await observer.action("getPhase", "removed") == "known"
    await observer.action("reset", "removed")
    assert await observer.action("getPhase", "removed") is None
    await boundary.sleep(observer, via="api")
    observer = conform.get_or_create("saveStateObserver")
    assert [await observer.action("getPhase", name) for name in ("removed", "kept")] == [None, "known"]


@requirement("RUN-146", "SLEEP-054")
@pytest.mark.parametrize(("action", "args"), [("saveImmediateAndBlock", (21,)), ("saveDeferredAndBlock", (22, 10))])
async def test_saved_value_survives_destruction_of_the_generation(conform, eventually, boundary, clock, action, args):
    """A saved value is there after a sleep that had to cut the blocked action off."""
    await blocked(conform, eventually, action, *args)
    await boundary.sleep(conform.get_or_create("saveStateActor"), via="api", timeout=40.0)
    assert await conform.get_or_create("saveStateActor").action("getValue") == args[0]


@requirement("RUN-140", "RUN-146")
async def test_unsaved_change_is_kept_by_a_graceful_stop(conform, boundary):
    """A change right before a graceful sleep is not lost."""
    actor = conform.get_or_create("counter")
    await actor.action("setCount", 41)
    await boundary.sleep(actor, via="api")
    assert await conform.get_or_create("counter").action("getCount") == 41
