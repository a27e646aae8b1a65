"""Suite lifecycle-destroy: destroy requests that meet another stop, a failing hook, and which hook belongs to which stop."""

from __future__ import annotations

import asyncio

import pytest

from client import UNDEFINED, ActorError, ConnectionClosedError
from driver_tests.inspecting import inspect
from harness import capability, requirement, suite, timing

pytestmark = [suite("lifecycle-destroy"), timing]

EXITING = "runWithEarlyExit"
"""Its run handler holds grace for the first 200 ms, and its cleanup hooks are reported to an observer."""


async def cleanup_hooks(conform, actor_id):
    """The cleanup hooks that ran for the actor, in order."""
    found = await conform.get_or_create("lifecycleObserver", ["run-with-early-exit"]).action("getEvents")
    return [event["event"] for event in found if event["actorKey"] == actor_id]


async def attempt(work):
    """The result, or the error of a call that may meet the end of its actor."""
    try:
        return await work
    except (ActorError, ConnectionClosedError) as error:
        return error


async def in_grace(conform, eventually, witness):
    """Order the sleep of a fresh actor whose run handler is still active: its key, its id, and a handle to the generation in grace.

    The window is short, so several actors are tried; None when all of them were too late.
    """
    await conform.get_or_create("lifecycleObserver", ["run-with-early-exit"]).action("getEvents")
    for _ in range(6):
        key = conform.unique_key()
        actor = conform.get_or_create(EXITING, key)
        actor_id = await actor.resolve()
        await actor.action("getState")
        await conform.rest.sleep_actor(actor_id)
        eager = conform.get_or_create(EXITING, key, skip_ready_wait=True)
        state = await eventually(
            lambda eager=eager: attempt(eager.action("getState")),
            until=lambda found: not isinstance(found, Exception) and found["sleepCount"] == 1,
            what="grace",
        )
        if witness.hit("a request in grace", state["wakeCount"] == 1 and not state["runExited"]):
            return key, actor_id, eager
    return None


@requirement("DESTROY-003", "TASK-022")
async def test_second_destroy_request_fails(conform, boundary, witness):
    """Of several requests at once exactly one is accepted; the others fail with stopping, or are refused with destroying."""
    actor = conform.get_or_create("destroyActor")
    actor_id = await actor.resolve()
    async with conform.connected(actor) as conn:
        results = await asyncio.gather(*(attempt(conn.action("destroy")) for _ in range(4)))
    assert [result for result in results if not isinstance(result, Exception)] == [UNDEFINED]
    names = {error.name for error in results if isinstance(error, ActorError)}
    assert names <= {"actor.stopping", "actor.destroying"}
    witness.hit("a second request or call", bool(names))
    await boundary.wait_destroyed(actor_id)


@requirement("DESTROY-005", "DESTROY-006", "TASK-023")
async def test_destroy_request_in_sleep_grace(conform, eventually, witness):
    """It is accepted and refuses further calls; onSleep runs, onDestroy does not, and the actor ends asleep or destroyed."""
    reached = await in_grace(conform, eventually, witness)
    if reached is None:
        return
    key, actor_id, eager = reached
    assert await eager.action("destroy") is UNDEFINED
    by_id = conform.get_for_id(EXITING, actor_id)
    refused = await conform.post_action(by_id, "getState", encoding="json", headers={"x-rivet-skip-ready-wait": "1"})
    if refused.status_code == 200:
        assert refused.headers["x-rivet-actor-generation"] != "1", "not by the generation that asked for its destruction"
    else:
        assert refused.json()["code"] in ("destroying", "not_found", "destroyed_while_waiting_for_ready")

    async def afterwards():
        answer = await conform.post_action(conform.get_or_create(EXITING, key), "getState", encoding="json")
        return answer if answer.status_code == 200 else None

    answer = await eventually(afterwards, until=bool, timeout=10, what="the actor's next life")
    state = answer.json()["output"]
    if answer.headers["x-rivet-actor"] == actor_id:
        assert (state["wakeCount"], state["sleepCount"], state["destroyCalled"]) == (2, 1, False)
    else:
        assert (state["wakeCount"], state["sleepCount"]) == (1, 0)
    assert await cleanup_hooks(conform, actor_id) == ["sleep"]


@requirement("DESTROY-005", "DESTROY-006")
async def test_destroy_request_right_after_a_sleep_request(conform, eventually):
    """Both requests of one turn are accepted, and the actor or its successor serves again."""
    actor = conform.get_or_create("dbLifecycle")
    async with conform.connected(actor) as conn:
        await conn.action("insertValue", "kept or gone")
        old = conn.actor_id
        asked = [conform.spawn(attempt(conn.action(name))) for name in ("triggerSleep", "triggerDestroy")]
        assert [await one for one in asked] == [UNDEFINED, UNDEFINED]

    async def afterwards():
        answer = await conform.post_action(conform.get_or_create("dbLifecycle"), "getCount", encoding="json")
        if answer.status_code != 200:
            return None
        return answer.headers["x-rivet-actor"], int(answer.headers["x-rivet-actor-generation"]), answer.json()["output"]

    found = await eventually(afterwards, until=bool, timeout=10, what="the actor's next life")
    assert found == (old, 2, 1) or (found[0] != old and found[1:] == (1, 0))
    assert await afterwards() == found


@requirement("DESTROY-007", "STOP-001")
async def test_delete_in_sleep_grace(conform, boundary, eventually, witness, clock):
    """The sleep is finished with its own hook only, and then the actor is destroyed."""
    await conform.get_or_create("lifecycleObserver", ["run-with-early-exit"]).action("getEvents")
    for _ in range(8):
        key = conform.unique_key()
        actor = conform.get_or_create(EXITING, key)
        actor_id = await actor.resolve()
        await actor.action("getState")
        began = (await boundary.record(actor_id))["connectable_ts"]
        await conform.rest.sleep_actor(actor_id)
        # Half of the window is left for the delete.
        if witness.hit("a delete in grace", clock.now_ms() < began + 100):
            break
    else:
        return
    await conform.rest.destroy_actor(actor_id)
    await boundary.wait_destroyed(actor_id)
    await eventually(lambda: cleanup_hooks(conform, actor_id), until=bool, what="a cleanup hook")
    successor = lambda: conform.get_or_create(EXITING, key).resolve()  # noqa: E731
    fresh = await eventually(successor, until=lambda found: found != actor_id, what="the next actor")
    assert (await conform.get_for_id(EXITING, fresh).action("getState"))["sleepCount"] == 0
    assert await cleanup_hooks(conform, actor_id) == ["sleep"]


@requirement("STOP-001", "DESTROY-027", "SLEEP-025")
@pytest.mark.parametrize(
    ("way", "hook"), [("idle", "sleep"), ("sleep", "sleep"), ("reschedule", "sleep"), ("request", "destroy"), ("delete", "destroy")]
)
async def test_each_stop_has_its_own_hook(conform, boundary, eventually, way, hook):
    """Idle, ordered and rescheduled actors get onSleep, destroyed ones onDestroy, and never the other."""
    actor = conform.get_or_create(EXITING)
    await eventually(lambda: actor.action("getState"), until=lambda state: state["runExited"], what="the handler's end")
    if way == "reschedule":
        actor_id = await actor.resolve()
        await conform.rest.reschedule_actor(actor_id)
    elif hook == "sleep":
        actor_id = await boundary.sleep(actor, via="idle" if way == "idle" else "api")
    else:
        actor_id = await boundary.destroy(actor, via="action" if way == "request" else "api")
    await eventually(lambda: cleanup_hooks(conform, actor_id), until=bool, what="the cleanup hook")
    state = await eventually(
        lambda: conform.get_or_create(EXITING).action("getState"),
        until=lambda found: found["wakeCount"] == (2 if hook == "sleep" else 1),
        what="the next life",
    )
    assert (state["sleepCount"], state["destroyCalled"]) == (1 if hook == "sleep" else 0, False)
    assert await cleanup_hooks(conform, actor_id) == [hook]


@requirement("DESTROY-025")
@capability("inspector")
async def test_failing_hook_does_not_stop_the_destroy(conform, boundary):
    """An onDestroy that raises is over, and the destroy completes."""
    actor = conform.get_or_create("destroyActor")
    await actor.action("setValue", 1)
    # Without state the hook fails at its first step, before it can tell the observer.
    patched = await (await inspect(conform, "destroyActor")).request("PATCH", "state", json={"state": None})
    assert patched.status_code == 200, patched.text
    old = await boundary.destroy(actor)
    assert (await boundary.record(old))["destroy_ts"] is not None
    observer = conform.get_or_create("destroyObserver", ["observer"])
    assert await observer.action("wasDestroyed", conform.key[0]) is False
    fresh = conform.get_or_create("destroyActor")
    assert await fresh.action("getValue") == 0
    assert await fresh.resolve() != old
