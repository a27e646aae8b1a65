"""Suite error-handling: what reaches the caller when an action fails."""

from __future__ import annotations

from client import UNDEFINED
from harness import requirement, suite

pytestmark = suite("error-handling")

MASKED = "An internal error occurred"


@requirement("TASK-107", "WIRE-832")
async def test_user_error_keeps_its_message(conform, expect_error):
    """A user error without a code is user/user_error with its message and no metadata."""
    async with expect_error("user", "user_error") as caught:
        await conform.get_or_create("errorHandlingActor").action("throwSimpleError")
    assert caught.error.message == "Simple error message"
    assert caught.error.metadata in (None, UNDEFINED)


@requirement("TASK-107", "WIRE-832", "WIRE-834")
async def test_user_error_keeps_code_and_metadata(conform, clock, expect_error):
    """Code and metadata of a user error reach the caller."""
    async with expect_error("user", "detailed_error") as caught:
        await conform.get_or_create("errorHandlingActor").action("throwDetailedError")
    assert caught.error.message == "Detailed error message"
    assert caught.error.metadata["reason"] == "test"
    assert abs(caught.error.metadata["timestamp"] - clock.now_ms()) < conform.limit(60) * 1000


@requirement("TASK-106", "WIRE-833")
async def test_internal_error_is_masked(conform, expect_error):
    """The text of an ordinary exception does not leak."""
    async with expect_error("rivetkit", "internal_error") as caught:
        await conform.get_or_create("errorHandlingActor").action("throwInternalError")
    assert caught.error.message == MASKED
    assert caught.error.metadata in (None, UNDEFINED)


@requirement("TASK-103", "TASK-072")
async def test_time_out_is_reported(conform, expect_error):
    """An action over its limit is action_timed_out."""
    async with expect_error("actor", "action_timed_out"):
        await conform.get_or_create("errorHandlingActor").action("timeoutAction")


@requirement("TASK-103")
async def test_action_within_the_limit_completes(conform):
    """An action that ends before its limit is answered."""
    assert await conform.get_or_create("errorHandlingActor").action("delayedAction", 100) == "Completed after 100ms"


@requirement("TASK-103")
async def test_each_definition_has_its_own_limit(conform, expect_error):
    """A custom limit lets the quick action pass and stops the slow one."""
    actor = conform.get_or_create("customTimeoutActor")
    assert await actor.action("quickAction") == "Quick action completed"
    async with expect_error("actor", "action_timed_out"):
        await actor.action("slowAction")


@requirement("TASK-108", "TASK-034")
async def test_actor_serves_after_every_kind_of_error(conform, expect_error):
    """After each failure the actor answers again."""
    actor = conform.get_or_create("errorHandlingActor")
    for name, identity in (
        ("throwSimpleError", ("user", "user_error")),
        ("throwDetailedError", ("user", "detailed_error")),
        ("throwInternalError", ("rivetkit", "internal_error")),
        ("timeoutAction", ("actor", "action_timed_out")),
        ("missingAction", ("actor", "action_not_found")),
    ):
        async with expect_error(*identity):
            await actor.action(name)
        assert await actor.action("successfulAction") == "success"


@requirement("TASK-034")
async def test_failures_do_not_touch_state(conform, expect_error):
    """State from before a failure is still there."""
    actor = conform.get_or_create("errorHandlingActor")
    assert await actor.action("logError", "first") == ["first"]
    async with expect_error("rivetkit", "internal_error"):
        await actor.action("throwInternalError")
    assert await actor.action("logError", {"second": 2}) == ["first", {"second": 2}]
    assert await actor.action("clearErrorLog") is True
    assert await actor.action("getErrorLog") == []


@requirement("CONN-094", "WIRE-522")
async def test_errors_over_a_connection_leave_it_open(conform, expect_error):
    """Each failure is an Error frame for its call; the connection stays usable."""
    async with conform.connected(conform.get_or_create("errorHandlingActor")) as conn:
        async with expect_error("user", "user_error") as caught:
            await conn.action("throwSimpleError")
        assert caught.error.message == "Simple error message"
        async with expect_error("user", "detailed_error") as caught:
            await conn.action("throwDetailedError")
        assert caught.error.metadata["reason"] == "test"
        async with expect_error("rivetkit", "internal_error") as caught:
            await conn.action("throwInternalError")
        assert caught.error.message == MASKED
        assert await conn.action("successfulAction") == "success"
        assert conn.status == "connected"


@requirement("TASK-103", "WIRE-521")
async def test_time_out_over_a_connection(conform, expect_error):
    """A time-out over a connection is an error of that call alone."""
    async with conform.connected(conform.get_or_create("errorHandlingActor")) as conn:
        pending = conform.spawn(conn.action("timeoutAction"))
        assert await conn.action("successfulAction") == "success"
        async with expect_error("actor", "action_timed_out"):
            await pending


@requirement("WIRE-831")
async def test_status_of_errors_on_the_action_route(conform):
    """The HTTP status follows group and code alone."""
    actor = conform.get_or_create("errorHandlingActor")
    await actor.action("successfulAction")
    for name, status in (
        ("throwSimpleError", 500),
        ("throwDetailedError", 500),
        ("throwInternalError", 500),
        ("timeoutAction", 408),
        ("missingAction", 404),
    ):
        response = await conform.post_action(actor, name)
        assert response.status_code == status, name


@requirement("WIRE-423", "WIRE-835")
async def test_json_error_body_has_exactly_its_members(conform):
    """A JSON error omits what it does not have and names the actor."""
    actor = conform.get_or_create("errorHandlingActor")
    await actor.action("successfulAction")
    response = await conform.post_action(actor, "throwSimpleError", encoding="json")
    body = response.json()
    assert set(body) == {"group", "code", "message", "actor"}
    assert body["group"] == "user"
    assert body["code"] == "user_error"
    assert body["message"] == "Simple error message"
    assert body["actor"]["actorId"] == await actor.resolve()
    assert isinstance(body["actor"]["generation"], int)
    assert response.headers["x-rivet-actor"] == await actor.resolve()


@requirement("TASK-106")
async def test_concurrent_failures_stay_apart(conform, expect_error):
    """Failures of overlapping calls reach their own callers."""
    actor = conform.get_or_create("errorHandlingActor")
    await actor.resolve()
    calls = [conform.spawn(actor.action(name)) for name in ("throwSimpleError", "successfulAction", "throwInternalError")]
    async with expect_error("user", "user_error"):
        await calls[0]
    assert await calls[1] == "success"
    async with expect_error("rivetkit", "internal_error"):
        await calls[2]
