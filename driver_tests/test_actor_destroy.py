"""Suite actor-destroy: requests, hooks, what happens to calls, and recreating the key."""

from __future__ import annotations

import pytest

from client import UNDEFINED, ActorError, ConnectionClosedError
from harness import requirement, suite, timing
from harness.frames import decoded
from harness.testing.handles import untracked
from harness.testing.interpreter import labels, latch, made, op, play, trace

pytestmark = [suite("actor-destroy"), timing]

EAGER = {"x-rivet-skip-ready-wait": "1"}
GONE = {"actor.not_found", "actor.destroying", "actor.destroyed_while_waiting_for_ready"}


def refusal(response):
    """Status, group and code of an error that an actor or the gateway answered."""
    error = decoded(response)
    return response.status_code, error.group, error.code


@requirement("DESTROY-001", "DESTROY-002", "DESTROY-021")
@pytest.mark.parametrize("via", ["action", "api"])
async def test_destroy_runs_the_hook_and_erases(conform, boundary, eventually, via):
    """A destroy runs onDestroy once and the key starts afresh."""
    actor = conform.get_or_create("destroyActor")
    assert await actor.action("setValue", 7) == 7
    old = await boundary.destroy(actor, via=via)
    observer = conform.get_or_create("destroyObserver", ["observer"])
    await eventually(
        lambda: observer.action("wasDestroyed", conform.key[0]), until=lambda known: known is True, what="the observer to hear of it"
    )
    actor = conform.get_or_create("destroyActor")
    assert await actor.action("getValue") == 0
    assert await actor.resolve() != old


@requirement("DESTROY-002")
async def test_destroying_action_is_answered(conform, boundary, expect_error):
    """The action that asks for destruction still delivers its result, and the actor is destroyed all the same."""
    actor = conform.get_or_create("destroyActor")
    await actor.action("setValue", 1)
    actor_id = await actor.resolve()
    assert await actor.action("destroy") is UNDEFINED
    await boundary.wait_destroyed(actor_id)
    async with expect_error("actor", "not_found"):
        await conform.get_for_id("destroyActor", actor_id).action("getValue")


@requirement("DESTROY-002")
async def test_request_does_not_abort_synchronously(conform, boundary, expect_error):
    """Requesting destruction fires no abort in the same turn; the destroy comes after it."""
    actor = conform.get_or_create("destroyAbortSignalActor")
    actor_id = await actor.resolve()
    assert await actor.action("requestDestroy") == {
        "beforeDestroyAborted": False,
        "beforeDestroySignalAborted": False,
        "afterDestroyAborted": False,
        "afterDestroySignalAborted": False,
        "abortEventCountAfterDestroy": 0,
    }
    await boundary.wait_destroyed(actor_id)
    async with expect_error("actor", "not_found"):
        await conform.get_for_id("destroyAbortSignalActor", actor_id).action("requestDestroy")


@requirement("DESTROY-040", "DESTROY-043", "DESTROY-045")
async def test_destroyed_id_is_not_found(conform, boundary, expect_error):
    """A handle by id never reaches the recreated actor."""
    actor = conform.get_or_create("destroyActor")
    await actor.action("setValue", 3)
    old = await boundary.destroy(actor)
    assert await conform.get_or_create("destroyActor").action("getValue") == 0
    async with expect_error("actor", "not_found"):
        await conform.get_for_id("destroyActor", old).action("getValue")


@requirement("DESTROY-040")
async def test_get_of_a_destroyed_key(conform, boundary, expect_error):
    """A lookup by key finds nothing after the destroy."""
    actor = conform.get_or_create("destroyActor")
    await actor.action("setValue", 3)
    await boundary.destroy(actor)
    async with expect_error("actor", "not_found"):
        await conform.get("destroyActor").resolve()


@requirement("DESTROY-041", "QUEUE-077")
async def test_recreated_actor_shares_nothing(conform, boundary):
    """State, vars and queue of the old actor are gone."""
    actor = conform.get_or_create("destroyActor")
    await actor.action("setValue", 9)
    await actor.action("setEphemeral", "old")
    await actor.send("values", 5)
    await boundary.destroy(actor)
    actor = conform.get_or_create("destroyActor")
    assert await actor.action("getValue") == 0
    assert await actor.action("getEphemeral") == "fresh"
    assert await actor.action("receiveValue") is None


@requirement("DESTROY-042", "QUEUE-078")
async def test_stale_handle_of_the_client_recovers(conform, boundary):
    """The client's own get-or-create handle works again for actions, sends and raw requests."""
    stale = untracked(conform.get_or_create("destroyActor"))
    await stale.action("setValue", 4)
    await boundary.destroy(conform.get_or_create("destroyActor"), via="api")
    assert await stale.action("getValue") == 0
    await stale.send("values", 11)
    assert await stale.action("receiveValue") == 11
    assert (await stale.fetch("state")).json() == {"key": conform.key[0], "value": 0}
    socket = await stale.web_socket()
    assert '"welcome"' in str(await socket.recv())
    await socket.close()


@requirement("DESTROY-024", "WIRE-611")
async def test_raw_socket_is_closed(conform, boundary):
    """Open raw sockets are closed with 1000 actor.stopped."""
    actor = conform.get_or_create("destroyActor")
    socket = await actor.web_socket()
    assert '"welcome"' in str(await socket.recv())
    await boundary.destroy(actor)
    assert await socket.wait_closed() == (1000, "actor.stopped")


@requirement("HIB-063", "CONN-103")
async def test_connection_moves_to_the_recreated_actor(conform, boundary, eventually):
    """A get-or-create connection reconnects to a new actor; calls in flight are rejected."""
    actor = conform.get_or_create("destroyActor")
    async with conform.connected(actor) as conn:
        await conn.action("setValue", 5)
        old = conn.actor_id
        await boundary.destroy(actor, via="api")
        await eventually(lambda: conn.actor_id, until=lambda found: found != old, what="the reconnect to a new actor")
        value = await eventually(lambda: _try(conn.action("getValue")), until=lambda found: found == 0, what="fresh state")
        assert value == 0


async def _try(work):
    try:
        return await work
    except (ActorError, ConnectionClosedError) as error:
        return error


@requirement("DESTROY-022", "WIRE-100")
async def test_running_action_finishes_before_the_destroy(conform, boundary, eventually):
    """A delete waits for an action in flight, which is answered normally."""
    actor = conform.get_or_create("concurrentActionActor")
    slow = conform.spawn(actor.action("runWithDelay", "slow", 300))
    await eventually(lambda: actor.action("getEvents"), until=lambda seen: "start:slow" in seen, what="the slow action to start")
    actor_id = await actor.resolve()
    await conform.rest.destroy_actor(actor_id)
    assert await slow == "slow"
    assert (await boundary.wait_destroyed(actor_id))["destroy_ts"] is not None


@requirement("DESTROY-008")
async def test_sleeping_actor_is_destroyed_without_hooks(conform, boundary):
    """A delete of a sleeping actor runs no hook and removes it."""
    actor = conform.get_or_create("destroyActor")
    await actor.action("setValue", 2)
    actor_id = await boundary.sleep(actor, via="api")
    await conform.rest.destroy_actor(actor_id)
    await boundary.wait_destroyed(actor_id)
    observer = conform.get_or_create("destroyObserver", ["observer"])
    assert await observer.action("wasDestroyed", conform.key[0]) is False
    assert await conform.get_or_create("destroyActor").action("getValue") == 0


@requirement("DESTROY-044")
async def test_record_of_a_destroyed_actor(conform, boundary):
    """The record keeps its destruction time and is listed only on request."""
    actor = conform.get_or_create("destroyActor")
    await actor.action("setValue", 2)
    actor_id = await boundary.destroy(actor)
    record = await boundary.record(actor_id)
    assert record["destroy_ts"] >= record["create_ts"]
    assert record["connectable_ts"] is None


@requirement("DESTROY-045", "DESTROY-040", "DESTROY-046")
async def test_calls_during_a_destroy(conform, boundary):
    """Calls by id while the destroy hook runs are refused as destroying, then as not found, and none wakes the actor again."""
    actor = made(conform, onWake=[trace("woken")], onDestroy=[latch("in destroy"), trace("destroyed")])
    actor_id = await actor.resolve()
    await play(actor, op("destroy"))
    await conform.latch("in destroy").arrived()
    answers = [await conform.post_action(actor_id, "exec", [trace("ran")], headers=EAGER) for _ in range(3)]
    assert [refusal(answer) for answer in answers] == [(500, "actor", "destroying")] * 3
    held = conform.spawn(conform.post_action(actor_id, "exec", [trace("ran")]))
    await conform.latch("in destroy").release()
    assert refusal(await held) in ((400, "actor", "destroyed_while_waiting_for_ready"), (500, "actor", "destroying"))
    await boundary.wait_destroyed(actor_id)
    assert refusal(await conform.post_action(actor_id, "exec", [trace("ran")])) == (404, "actor", "not_found")
    assert await labels(conform) == ["woken", "destroyed"]


@requirement("RUN-006", "DESTROY-047", "DESTROY-021")
async def test_destroy_from_the_run_handler(conform, boundary, eventually, expect_error):
    """A destroy requested in the run handler runs onDestroy, once, and the actor is gone."""
    actor = conform.get_or_create("runSelfInitiatedDestroy")
    actor_id = await actor.resolve()
    observer = conform.get_or_create("lifecycleObserver", ["self-initiated-destroy"])
    events = await eventually(
        lambda: observer.action("getEvents"),
        until=lambda found: any(event["actorKey"] == actor_id for event in found),
        what="the destroy event",
    )
    assert [event["event"] for event in events if event["actorKey"] == actor_id] == ["destroy"]
    await boundary.wait_destroyed(actor_id)
    async with expect_error("actor", "not_found"):
        await conform.get_for_id("runSelfInitiatedDestroy", actor_id).action("getState")


@requirement("DESTROY-023", "DESTROY-026", "RUN-008")
async def test_run_handler_that_ignores_the_abort(conform, boundary, clock):
    """A run handler that does not exit does not delay the destroy."""
    actor = conform.get_or_create("runIgnoresAbortStopTimeout")
    assert (await actor.action("getState"))["wakeCount"] == 1
    started = clock.monotonic()
    await boundary.destroy(actor)
    clock.took(started, most=conform.limit(1.5))


@requirement("START-053")
async def test_rapid_create_and_destroy(conform, boundary, expect_error):
    """Rapid cycles leave no live actor behind."""
    ids = []
    for _ in range(5):
        actor = conform.get_or_create("destroyActor")
        await actor.action("setValue", 1)
        ids.append(await boundary.destroy(actor, via="api"))
    assert len(set(ids)) == 5
    for actor_id in ids:
        async with expect_error("actor", "not_found"):
            await conform.get_for_id("destroyActor", actor_id).action("getValue")
