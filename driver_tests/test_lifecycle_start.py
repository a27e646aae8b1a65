"""Suite lifecycle-start: what a start restores, copies and refuses, and errors that are not public."""

from __future__ import annotations

import json

from harness import any_encoding, requirement, suite, timing, untimed

pytestmark = [suite("lifecycle-start"), timing]

MASKED = "An internal error occurred"
CONNECTIONS = "connStateActor"


@requirement("START-017", "RUN-110")
async def test_static_state_is_copied_deeply(conform, boundary):
    """What one actor puts into the containers of its declared state is in no other actor's, nor in its successor's."""
    first = conform.get_or_create("saveStateObserver", conform.unique_key())
    await first.action("recordPhase", "one", "first")
    second = conform.get_or_create("saveStateObserver", conform.unique_key())
    assert await second.action("getPhase", "one") is None
    actor = conform.get_or_create("concurrentActionActor")
    await actor.action("runWithDelay", "old", 0)
    await boundary.destroy(actor, via="api")
    assert await conform.get_or_create("concurrentActionActor").action("getEvents") == []
    assert await first.action("getPhase", "one") == "first"


@requirement("START-040", "START-041")
async def test_attached_connection_is_restored(conform, boundary, eventually):
    """After a wake a connection has its id, state and subscriptions, and none of its hooks ran again."""
    actor = conform.get_or_create(CONNECTIONS)
    async with conform.connected(actor, params={"username": "ann", "role": "admin"}) as conn:
        greeted, direct, joined = [], [], []
        conn.on("connectedFromOnConnect", greeted.append)
        conn.on("directMessage", direct.append)
        conn.on("userConnected", joined.append)
        await conn.action("incrementConnCounter", 3)
        before = await conn.action("getConnectionState")
        assert (before["username"], before["role"], before["counter"]) == ("ann", "admin", 3)
        del greeted[:], joined[:]
        await boundary.sleep(actor, via="api")
        actor = conform.get_or_create(CONNECTIONS, params={"noCount": True})
        # The first call of the generation is not the connection's own.
        assert await actor.action("sendToConnection", before["id"], "hello") is True
        await eventually(lambda: direct, until=bool, what="the message to the restored connection")
        await eventually(lambda: joined, until=bool, what="the broadcast to the restored subscription")
        # createConnState would have made another state with another time.
        assert await conn.action("getConnectionState") == before
        assert greeted == []
        assert all(event["id"] != before["id"] for event in joined)


@requirement("START-040")
async def test_connection_that_left_is_not_restored(conform, boundary, eventually):
    """A connection whose client went while the actor slept is gone after the wake, and stays gone after the next one."""
    actor = conform.get_or_create(CONNECTIONS)
    leaving = actor.connect()
    await leaving.ready()
    left = (await leaving.action("getConnectionState"))["id"]

    async def present():
        return await conform.get_or_create(CONNECTIONS, params={"noCount": True}).action("getConnectionIds")

    async with conform.connected(actor) as conn:
        own = (await conn.action("getConnectionState"))["id"]
        assert sorted(await present()) == sorted([left, own])
        for _ in range(2):
            await boundary.sleep(conform.get_or_create(CONNECTIONS), via="api")
            await leaving.dispose()
            assert await eventually(present, until=lambda ids: left not in ids, what="the removal") == [own]


@requirement("START-069", "START-061")
@untimed
async def test_unregistered_name_fails_the_start(conform, boundary, expect_error):
    """An actor of a name that no runtime knows exists, and its record tells why it does not start."""
    actor = await conform.create("noSuchActorName")
    async with expect_error("guard", "actor_wake_retries_exceeded"):
        await actor.action("anything")
    record = await boundary.wait_asleep(await actor.resolve())
    assert "Actor factory 'noSuchActorName' is not registered." in json.dumps(record["error"], ensure_ascii=False)


@requirement("TASK-071")
@any_encoding
@untimed
async def test_errors_that_are_not_public_are_masked(conform):
    """They are 500 with their code, without their text and metadata."""
    for name, action, code in (
        ("errorHandlingActor", "throwInternalError", "rivetkit.internal_error"),
        ("beforeConnectTimeoutActor", "ping", "actor.callback_timed_out"),
    ):
        response = await conform.post_action(conform.get_or_create(name), action, encoding="json")
        body = response.json()
        assert response.status_code == 500, name
        assert f"{body['group']}.{body['code']}" == code
        assert body["message"] == MASKED
        assert body.get("metadata") is None


@requirement("RUN-210")
async def test_actor_without_state(conform, boundary):
    """It serves calls, over a sleep too, and access to its state is an error that tells how to enable it."""
    actor = conform.get_or_create("statelessActor")
    for _ in range(2):
        assert await actor.action("ping") == "pong"
        assert await actor.action("echo", {"a": [1]}) == {"a": [1]}
        assert await actor.action("tryGetState") == {
            "success": False,
            "error": "State not enabled. Must implement `createState` or `state` to use state. "
            "(https://www.rivet.dev/docs/actors/state/#initializing-state)",
        }
        await boundary.sleep(actor, via="api")
        actor = conform.get_or_create("statelessActor")


@requirement("RUN-212")
@untimed
async def test_actor_without_database(conform):
    """Access to a database that is not configured is an error that says so."""
    actor = conform.get_or_create("statelessActor")
    result = await actor.action("tryGetDb")
    assert result["success"] is False
    assert "database" in result["error"]
    assert await actor.action("ping") == "pong"
