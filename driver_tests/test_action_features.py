"""Suite action-features: inputs, time-outs, kinds of actions, arguments and results."""

from __future__ import annotations

from client import UNDEFINED, Client
from harness import capability, requirement, suite

pytestmark = suite("action-features")


@requirement("START-025", "WIRE-170")
async def test_input_of_create_reaches_state_builder_and_on_create(conform):
    """The input of an explicit create is the second argument of createState and onCreate."""
    actor = await conform.create("inputActor", input={"name": "x", "nested": [1, None, "two"]})
    expected = {"name": "x", "nested": [1, None, "two"]}
    assert await actor.action("getInputs") == {"initialInput": expected, "onCreateInput": expected}


@requirement("START-025")
async def test_input_of_get_or_create_reaches_state_builder_and_on_create(conform):
    """The create-with-input of a get-or-create does the same."""
    actor = conform.get_or_create("inputActor", input=["a", 1])
    assert await actor.action("getInputs") == {"initialInput": ["a", 1], "onCreateInput": ["a", 1]}


@requirement("START-025", "WIRE-171")
async def test_absent_input_is_undefined(conform):
    """Without an input both hooks see undefined, which is not null."""
    inputs = await conform.get_or_create("inputActor").action("getInputs")
    assert inputs["initialInput"] is UNDEFINED
    assert inputs["onCreateInput"] is UNDEFINED


@requirement("START-027", "WIRE-173")
async def test_input_for_an_existing_actor_is_ignored(conform):
    """A get-or-create that finds its actor ignores the input."""
    first = conform.get_or_create("inputActor", input="first")
    assert (await first.action("getInputs"))["initialInput"] == "first"
    second = conform.get_or_create("inputActor", input="second")
    assert await second.action("getInputs") == {"initialInput": "first", "onCreateInput": "first"}


@requirement("WIRE-912")
async def test_input_reaches_the_actor_through_connect(conform):
    """A connection of a get-or-create handle creates the actor with the input in the query."""
    actor = conform.get_or_create("inputActor", input={"via": "connect"})
    async with conform.connected(actor) as conn:
        assert (await conn.action("getInputs"))["initialInput"] == {"via": "connect"}


@requirement("TASK-103", "WIRE-318")
async def test_action_over_its_time_limit_fails(conform, expect_error):
    """An action that exceeds actionTimeout fails with action_timed_out."""
    async with expect_error("actor", "action_timed_out") as caught:
        await conform.get_or_create("shortTimeoutActor").action("slowAction")
    assert caught.error.message == "Action timed out"


@requirement("TASK-103", "CONN-095", "WIRE-533")
async def test_action_over_its_time_limit_fails_on_a_connection(conform, expect_error):
    """The same limit holds for actions over a connection, and the connection survives."""
    async with conform.connected(conform.get_or_create("shortTimeoutActor")) as conn:
        async with expect_error("actor", "action_timed_out"):
            await conn.action("slowAction")
        assert await conn.action("quickAction") == "quick response"


@requirement("TASK-103")
async def test_action_within_its_time_limit_succeeds(conform):
    """A slow action inside a longer limit is answered."""
    assert await conform.get_or_create("longTimeoutActor").action("delayedAction") == "delayed response"


@requirement("TASK-103")
async def test_default_time_limit_allows_ordinary_actions(conform):
    """The default limit does not disturb a 50 ms action."""
    assert await conform.get_or_create("defaultTimeoutActor").action("normalAction") == "normal response"


@requirement("TASK-105")
async def test_synchronous_action_within_the_limit_is_unaffected(conform):
    """A synchronous action is answered under a short limit."""
    assert await conform.get_or_create("syncTimeoutActor").action("syncAction") == "sync response"


@requirement("TASK-108")
async def test_actor_serves_after_a_time_out(conform, expect_error):
    """After a timed-out action the actor keeps serving."""
    actor = conform.get_or_create("shortTimeoutActor")
    async with expect_error("actor", "action_timed_out"):
        await actor.action("slowAction")
    assert await actor.action("quickAction") == "quick response"


@requirement("TASK-100")
async def test_synchronous_action_returns_its_value(conform):
    """A synchronous action's value reaches the caller."""
    actor = conform.get_or_create("syncActionActor")
    assert await actor.action("increment", 5) == 5
    assert await actor.action("increment", 2) == 7


@requirement("TASK-100")
async def test_missing_argument_takes_the_default(conform):
    """An argument that is not sent takes the action's own default."""
    assert await conform.get_or_create("syncActionActor").action("increment") == 1


@requirement("WIRE-316")
async def test_surplus_arguments_are_ignored(conform):
    """Arguments beyond the ones an action takes do no harm."""
    assert await conform.get_or_create("syncActionActor").action("increment", 4, "surplus", {"x": 1}) == 4


@requirement("WIRE-400")
async def test_action_without_result_answers_undefined(conform):
    """Nothing returned is undefined on the wire, not null."""
    assert await conform.get_or_create("syncActionActor").action("reset") is UNDEFINED


@requirement("TASK-100")
async def test_synchronous_action_returns_an_object(conform, clock):
    """A structured result arrives whole."""
    actor = conform.get_or_create("syncActionActor")
    await actor.action("increment", 3)
    info = await actor.action("getInfo")
    assert set(info) == {"currentValue", "timestamp"}
    assert info["currentValue"] == 3
    assert abs(info["timestamp"] - clock.now_ms()) < conform.limit(60) * 1000


@requirement("TASK-100")
async def test_asynchronous_action_returns_its_value(conform):
    """An asynchronous action's value reaches the caller."""
    actor = conform.get_or_create("asyncActionActor")
    assert await actor.action("delayedIncrement", 5) == 5
    assert await actor.action("delayedIncrement") == 6


@requirement("TASK-100")
async def test_asynchronous_action_returns_an_object(conform):
    """An asynchronous structured result arrives whole."""
    data = await conform.get_or_create("asyncActionActor").action("fetchData", "item-1")
    assert data["id"] == "item-1"


@requirement("TASK-100", "TASK-107")
async def test_asynchronous_action_error_reaches_the_caller(conform, expect_error):
    """An error of an asynchronous action is delivered like any other."""
    actor = conform.get_or_create("asyncActionActor")
    assert await actor.action("asyncWithError", False) == "Success"
    async with expect_error("user", "user_error") as caught:
        await actor.action("asyncWithError", True)
    assert caught.error.message == "Intentional error"


@requirement("TASK-020", "TASK-109", "WIRE-320")
async def test_actions_of_one_actor_overlap(conform, eventually):
    """A fast action that starts later finishes earlier."""
    actor = conform.get_or_create("concurrentActionActor")
    await actor.resolve()
    slow = conform.spawn(actor.action("runWithDelay", "slow", 300))
    await eventually(lambda: actor.action("getEvents"), until=lambda events: "start:slow" in events, what="the slow action to start")
    assert await actor.action("runWithDelay", "fast", 0) == "fast"
    assert await slow == "slow"
    assert await actor.action("getEvents") == ["start:slow", "start:fast", "finish:fast", "finish:slow"]


@requirement("TASK-020", "CONN-092")
async def test_actions_of_one_connection_overlap(conform):
    """A slow action does not block a later one of the same connection."""
    async with conform.connected(conform.get_or_create("concurrentActionActor")) as conn:
        slow = conform.spawn(conn.action("runWithDelay", "slow", 300))
        assert await conn.action("runWithDelay", "fast", 0) == "fast"
        assert await slow == "slow"
        assert (await conn.action("getEvents"))[-1] == "finish:slow"


@requirement("TASK-102", "WIRE-321", "WIRE-914")
async def test_nested_actions_are_addressed_by_dotted_names(conform):
    """A grouped action is called by its dotted path."""
    actor = conform.get_or_create("nestedActionActor")
    assert await actor.action("calculator.add", 4) == 4
    assert await actor.calculator.add(2) == 6
    assert await actor.action("calculator.read") == 6


@requirement("TASK-101")
async def test_action_group_is_not_callable(conform, expect_error):
    """The name of a group is no action."""
    async with expect_error("actor", "action_not_found") as caught:
        await conform.get_or_create("nestedActionActor").action("calculator")
    assert caught.error.message == "Action `calculator` was not found."


@requirement("TASK-101", "TASK-102")
async def test_unknown_member_of_a_group_is_named_in_full(conform, expect_error):
    """The error for an unknown member carries the full dotted name."""
    async with expect_error("actor", "action_not_found") as caught:
        await conform.get_or_create("nestedActionActor").action("calculator.multiply", 1)
    assert caught.error.message == "Action `calculator.multiply` was not found."


@requirement("TASK-115")
async def test_argument_validation_failure_does_not_run_the_action(conform, expect_error):
    """Arguments that fail validation are refused and the handler does not run."""
    actor = conform.get_or_create("nestedActionActor")
    for arguments in (("four",), (), (1, 2)):
        async with expect_error("actor", "validation_error") as caught:
            await actor.action("calculator.add", *arguments)
        assert caught.error.message == "An internal error occurred"
    assert await actor.action("calculator.read") == 0


@requirement("TASK-100")
async def test_settled_future_is_awaited(conform):
    """An action may return a future that is already resolved."""
    actor = conform.get_or_create("promiseActor")
    assert await actor.action("resolvedPromise") == "resolved value"
    assert await actor.action("delayedPromise") == "delayed value"
    assert await actor.action("getResults") == ["delayed"]


@requirement("TASK-100", "TASK-107")
async def test_failed_future_is_the_actions_error(conform, expect_error):
    """A failed future fails the action."""
    async with expect_error("user", "user_error") as caught:
        await conform.get_or_create("promiseActor").action("rejectedPromise")
    assert caught.error.message == "promised rejection"


@requirement("TASK-101", "WIRE-317", "TASK-072")
async def test_unknown_action_is_not_found(conform, expect_error):
    """An unknown action answers action_not_found with its name."""
    async with expect_error("actor", "action_not_found") as caught:
        await conform.get_or_create("counter").action("noSuchAction")
    assert caught.error.message == "Action `noSuchAction` was not found."


@requirement("TASK-101")
async def test_unknown_action_on_a_connection_is_not_found(conform, expect_error):
    """The same over a connection, which stays usable."""
    async with conform.connected(conform.get_or_create("counter")) as conn:
        async with expect_error("actor", "action_not_found"):
            await conn.action("noSuchAction")
        assert await conn.action("getCount") == 0


@requirement("WIRE-405")
async def test_json_like_values_round_trip(conform):
    """Scalars, lists and objects come back as they were sent."""
    actor = conform.get_or_create("largePayloadActor")
    for value in (None, True, False, 0, -1, 1.5, 2**32 - 1, -(2**31), "", "tekst ✓ \u0000", [], [1, [2, [3]]], {}, {"a": {"b": None}}):
        assert await actor.action("echo", value) == value


@requirement("WIRE-400", "WIRE-405", "WIRE-406")
@capability("tagged_values")
async def test_tagged_values_round_trip(conform):
    """Undefined, bytes, big integers and sets survive in every encoding."""
    actor = conform.get_or_create("largePayloadActor")
    for value in (b"\x00\xffbytes", 2**70, -(2**66), {1, 2, 3}, [UNDEFINED, 1]):
        assert await actor.action("echo", {"value": value}) == {"value": value}


@requirement("WIRE-400", "WIRE-402")
async def test_lists_that_look_like_tags_are_escaped(conform):
    """User lists that start with a dollar string come back unchanged."""
    actor = conform.get_or_create("largePayloadActor")
    for value in (["$Undefined", 0], ["$x", 1], ["$$y", 2], ["$only"], ["$a", 1, 2], {"$key": 1}):
        assert await actor.action("echo", value) == value


@requirement("WIRE-400")
async def test_null_and_undefined_results_are_distinct(conform):
    """An echo of null is null; an echo of nothing is undefined."""
    actor = conform.get_or_create("largePayloadActor")
    assert await actor.action("echo", None) is None
    assert await actor.action("echo") is UNDEFINED


@requirement("WIRE-830", "TASK-070")
async def test_error_names_the_actor(conform, expect_error):
    """A structured error of an action carries the actor it came from."""
    actor = conform.get_or_create("errorHandlingActor")
    async with expect_error("user", "user_error") as caught:
        await actor.action("throwSimpleError")
    assert caught.error.actor.actor_id == await actor.resolve()
    assert caught.error.actor.generation >= 1


@requirement("TASK-110")
async def test_stateless_call_has_its_own_connection(conform):
    """Each stateless call has its own transient connection."""
    actor = conform.get_or_create("counterConn")
    await actor.action("setCount", 3)
    assert await actor.action("getCount") == 0
    assert await actor.action("getConnectionCount") == 1


@requirement("WIRE-904")
async def test_every_client_encoding_reaches_the_same_actor(conform):
    """Clients of different encodings share one actor."""
    actor = conform.get_or_create("counter")
    assert await actor.action("increment", 1) == 1
    for encoding in ("json", "cbor", "bare"):
        async with Client(conform.endpoint, namespace=conform.namespace, pool=conform.pool, encoding=encoding) as client:
            await client.get_or_create("counter", conform.key).action("increment", 1)
    assert await actor.action("getCount") == 4
