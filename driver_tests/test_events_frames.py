"""Suite events-frames: which connections get which events, once, in which order, and that nobody else gets anything."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from client import UNDEFINED
from driver_tests.falsy import FALSY
from harness import any_encoding, requirement, suite
from harness.frames import decoded, in_any_order
from harness.testing.codecs import ActionRequest, ActionResponse, Event, Init, SubscriptionRequest, encode_to_server

pytestmark = suite("events-frames")


def counted(number):
    """The event of the counter."""
    return Event("newCount", [number])


async def several(conform, stack, actor, count):
    """This many accepted connections of an actor."""
    return [await stack.enter_async_context(conform.frames(actor)) for _ in range(count)]


async def watch_users(socket):
    """Subscribe a connection of `connStateActor` to who comes and goes; its own greetings are behind it."""
    await socket.subscribe("userConnected")
    await socket.subscribe("userDisconnected")
    await socket.exactly(Event, Event)


@requirement("EVENT-001", "WIRE-526", "EVENT-006", "WIRE-527", "EVENT-012")
async def test_an_event_reaches_its_subscribers_only(conform):
    """Of a caller and five others exactly those that subscribed to the event get it, whatever else they subscribed to."""
    actor = conform.get_or_create("counter")
    async with AsyncExitStack() as stack:
        caller, asked, other, silent, left, both = await several(conform, stack, actor, 6)
        await asked.subscribe("newCount")
        await other.subscribe("otherEvent")
        await left.subscribe("newCount")
        await left.unsubscribe("newCount")
        await both.subscribe("otherEvent")
        await both.subscribe("newCount")
        for socket in (asked, other, left, both):
            await socket.exactly()
        await caller.request(0, "increment", 3)
        await caller.exactly(ActionResponse(0, 3))
        await asked.exactly(counted(3))
        await both.exactly(counted(3))
        for socket in (other, silent, left):
            await socket.exactly()


@requirement("EVENT-001", "EVENT-007")
async def test_events_of_http_calls_reach_subscribers_only(conform):
    """The event of a stateless call reaches who subscribed to it, once, and nobody else."""
    actor = conform.get_or_create("counter")
    async with AsyncExitStack() as stack:
        asked, other, silent = await several(conform, stack, actor, 3)
        await asked.subscribe("newCount")
        await asked.exactly()
        await other.subscribe("other")
        await other.exactly()
        for number in range(1, 4):
            assert decoded(await conform.post_action(actor, "increment", 1)) == number
        await asked.exactly(counted(1), counted(2), counted(3))
        await other.exactly()
        await silent.exactly()


@requirement("EVENT-001")
@any_encoding
async def test_events_stay_with_their_actor(conform):
    """A subscriber of one actor gets nothing of another of the same name."""
    actor, stranger = conform.get_or_create("counter"), conform.get_or_create("counter", conform.unique_key())
    async with conform.frames(actor, encoding="json") as here, conform.frames(stranger, encoding="json") as there:
        await here.subscribe("newCount")
        await here.exactly()
        await there.subscribe("newCount")
        await there.exactly()
        await there.request(1, "increment", 7)
        await there.exactly(counted(7), ActionResponse(1, 7))
        await here.exactly()


@requirement("EVENT-010", "WIRE-524")
async def test_unsubscribing_stops_the_event(conform):
    """After the end of a subscription nothing of the event comes; a new one starts it again."""
    actor = conform.get_or_create("counter")
    async with conform.frames(actor) as socket:
        await socket.subscribe("newCount")
        await socket.request(1, "increment", 1)
        await socket.exactly(counted(1), ActionResponse(1, 1))
        await socket.unsubscribe("newCount")
        await socket.request(2, "increment", 1)
        await socket.exactly(ActionResponse(2, 2))
        await socket.unsubscribe("newCount")
        await socket.request(3, "increment", 1)
        await socket.exactly(ActionResponse(3, 3))
        await socket.subscribe("newCount")
        await socket.request(4, "increment", 1)
        await socket.exactly(counted(4), ActionResponse(4, 4))


@requirement("EVENT-010")
async def test_subscriptions_are_a_set(conform):
    """A repeated subscription doubles nothing, and one end ends it."""
    actor = conform.get_or_create("counter")
    async with conform.frames(actor) as socket:
        for _ in range(3):
            await socket.subscribe("newCount")
        await socket.request(1, "increment", 1)
        await socket.exactly(counted(1), ActionResponse(1, 1))
        await socket.unsubscribe("newCount")
        await socket.request(2, "increment", 1)
        await socket.exactly(ActionResponse(2, 2))


@requirement("EVENT-010", "WIRE-524")
async def test_unsubscribing_what_was_never_subscribed(conform):
    """It is answered with nothing, closes nothing, and touches neither other events nor other connections."""
    actor = conform.get_or_create("counter")
    async with conform.frames(actor) as socket, conform.frames(actor) as other:
        await other.subscribe("newCount")
        await other.exactly()
        for event in ("newCount", "noSuchEvent", ""):
            await socket.unsubscribe(event)
        await socket.exactly()
        await socket.request(1, "increment", 1)
        await socket.exactly(ActionResponse(1, 1))
        await other.exactly(counted(1))
        await socket.subscribe("newCount")
        await socket.unsubscribe("noSuchEvent")
        await socket.request(2, "increment", 1)
        await socket.exactly(counted(2), ActionResponse(2, 2))
        await other.exactly(counted(2))


@requirement("EVENT-010")
async def test_ending_one_subscription_leaves_the_others(conform):
    """Each event of a connection is subscribed and ended by itself, and each connection has its own set."""
    actor = conform.get_or_create("accessControlActor")
    async with conform.frames(actor) as socket, conform.frames(actor) as other:
        for one in (socket, other):
            await one.subscribe("allowedEvent")
            await one.subscribe("undefinedEvent")
            await one.exactly()
        await socket.unsubscribe("allowedEvent")
        await socket.exactly()
        for action in ("allowedBroadcastAllowedEvent", "allowedBroadcastUndefinedEvent"):
            assert decoded(await conform.post_action(actor, action, 1)) in (None, UNDEFINED)
        await socket.exactly(Event("undefinedEvent", [{"value": 1}]))
        await other.exactly(Event("allowedEvent", [{"value": 1}]), Event("undefinedEvent", [{"value": 1}]))


@requirement("EVENT-001", "WIRE-526")
@pytest.mark.parametrize("near", ["newcount", "NewCount", "newCoun", "newCount2", " newCount", "*", "", "new"], ids=repr)
async def test_names_are_exact(conform, near):
    """A subscription to a name that only resembles the event's gets nothing of it."""
    actor = conform.get_or_create("counter")
    async with conform.frames(actor) as socket:
        await socket.subscribe(near)
        await socket.request(1, "increment", 1)
        await socket.exactly(ActionResponse(1, 1))


@requirement("EVENT-004", "WIRE-420", "WIRE-406")
@pytest.mark.parametrize("value", FALSY.values(), ids=FALSY)
async def test_falsy_payloads(conform, value):
    """A single falsy argument of an event is an argument, and stays what it is."""
    actor = conform.get_or_create("counter")
    async with conform.frames(actor) as socket, conform.frames(actor) as other:
        await other.subscribe("newCount")
        await other.exactly()
        await socket.subscribe("newCount")
        await socket.request(0, "setCount", value)
        await socket.exactly(counted(value), ActionResponse(0, value))
        await other.exactly(counted(value))


@requirement("EVENT-004", "WIRE-400", "WIRE-402")
@pytest.mark.parametrize(
    "value",
    [["$x", 1], [[]], [None], ["$Set", []], "x" * 5000, "h\u00e9 \U0001f600"],
    ids=["dollar", "list", "null", "set", "long", "text"],
)
async def test_payloads_of_one_argument(conform, value):
    """A list is one argument and is not spread; what looks like a tagged value is what it was."""
    actor = conform.get_or_create("counter")
    async with conform.frames(actor) as socket:
        await socket.subscribe("newCount")
        await socket.request(9, "setCount", value)
        await socket.exactly(counted(value), ActionResponse(9, value))


@requirement("EVENT-002", "EVENT-001", "WIRE-526")
@pytest.mark.parametrize("message", [0, False, "", None, [], "hello"], ids=repr)
async def test_a_directed_message(conform, message):
    """`conn.send` reaches its connection although it subscribed to nothing, once, and no other, not even one that subscribed."""
    actor = conform.get_or_create("connStateActor")
    async with AsyncExitStack() as stack:
        sender, target, curious = [await stack.enter_async_context(conform.frames(actor, accepted=False)) for _ in range(3)]
        for socket in (sender, target, curious):
            await socket.accept()
        await curious.subscribe("directMessage")
        for socket in (sender, target, curious):
            greeted = {"id": socket.init.connection_id, "username": "anonymous"}
            await socket.exactly(Event("connectedFromOnConnect", [greeted]), Event("connectedFromOnConnectConns", [greeted]))
        await sender.request(5, "sendToConnection", target.init.connection_id, message)
        await sender.exactly(ActionResponse(5, True))
        await target.exactly(Event("directMessage", [{"from": sender.init.connection_id, "message": message}]))
        await curious.exactly()


@requirement("EVENT-002", "EVENT-006", "EVENT-005")
async def test_a_message_to_oneself(conform):
    """A message that an action sends to its own connection precedes the response, once, whether or not it is subscribed."""
    actor = conform.get_or_create("connStateActor")
    async with conform.frames(actor) as socket:
        greetings = [Event, Event]
        own = socket.init.connection_id
        await socket.request(1, "sendToConnection", own, 1)
        await socket.exactly(*greetings, Event("directMessage", [{"from": own, "message": 1}]), ActionResponse(1, True))
        await socket.subscribe("directMessage")
        await socket.request(2, "sendToConnection", own, 2)
        await socket.exactly(Event("directMessage", [{"from": own, "message": 2}]), ActionResponse(2, True))


@requirement("EVENT-008", "WIRE-505", "CONN-001")
async def test_events_of_the_connect_hook(conform):
    """What `onConnect` sends to its connection precedes `Init`; what it broadcasts reaches others that subscribed, once, never itself."""
    actor = conform.get_or_create("connStateActor")
    async with conform.frames(actor) as first:
        await watch_users(first)
        async with conform.frames(actor, accepted=False) as second:
            await second.accept()
            greeted = {"id": second.init.connection_id, "username": "anonymous"}
            assert second.received[:2] == [Event("connectedFromOnConnect", [greeted]), Event("connectedFromOnConnectConns", [greeted])]
            assert isinstance(second.received[2], Init)
            await second.exactly(*second.received[:2])
            joined = Event("userConnected", [{"id": second.init.connection_id, "username": "anonymous", "role": "user"}])
            await first.exactly(joined)
        await first.exactly(Event("userDisconnected", [{"id": second.init.connection_id}]))


@requirement("CONN-001", "WIRE-310", "EVENT-001")
async def test_a_stateless_call_connects_and_disconnects_once(conform):
    """An HTTP call is seen by subscribers as one connection that comes and goes before the call is answered."""
    actor = conform.get_or_create("connStateActor")
    async with conform.frames(actor) as watcher:
        await watch_users(watcher)
        assert (await conform.post_action(actor, "incrementSharedCounter", 1)).status_code == 200
        came, gone = await watcher.exactly(Event, Event)
        assert (came.name, gone.name) == ("userConnected", "userDisconnected")
        assert came.args[0]["id"] == gone.args[0]["id"] != watcher.init.connection_id


@requirement("WIRE-528", "EVENT-005", "EVENT-006", "CONN-093")
async def test_order_of_a_pipeline(conform):
    """Pipelined calls: every event precedes its response, all in the order sent; another subscriber gets the same events in that order."""
    actor = conform.get_or_create("counter")
    count = 25
    async with conform.frames(actor) as caller, conform.frames(actor) as other:
        await other.subscribe("newCount")
        await other.exactly()
        await caller.subscribe("newCount")
        for number in range(count):
            await caller.request(number, "increment", 1)
        came = await caller.exactly(*([in_any_order(*([Event] * count), *([ActionResponse] * count))]))
        places = {message.args[0] if isinstance(message, Event) else -message.output: place for place, message in enumerate(came)}
        assert all(places[number] < places[-number] for number in range(1, count + 1))
        assert caller.events("newCount") == [[number] for number in range(1, count + 1)]
        assert [one for one in came if isinstance(one, ActionResponse)] == [ActionResponse(number, number + 1) for number in range(count)]
        await other.exactly(*(counted(number) for number in range(1, count + 1)))


@requirement("EVENT-011", "WIRE-523")
@pytest.mark.parametrize("guarded", [False, True])
async def test_a_subscription_counts_for_the_next_frame(conform, guarded):
    """Frames sent in one go: what follows a subscription finds it made, guard included, and what follows its end finds it gone."""
    actor = conform.get_or_create("accessControlActor")
    event = "allowedEvent" if guarded else "undefinedEvent"
    action = "allowedBroadcastAllowedEvent" if guarded else "allowedBroadcastUndefinedEvent"
    told = Event(event, [{"value": 1}])
    void = lambda number: lambda one: isinstance(one, ActionResponse) and one.id == number  # noqa: E731
    async with conform.frames(actor) as socket:
        sent = [
            ActionRequest(1, action, [1]), SubscriptionRequest(event, True), ActionRequest(2, action, [1]),
            SubscriptionRequest(event, False), ActionRequest(3, action, [1]),
            SubscriptionRequest(event, True), ActionRequest(4, action, [1]),
        ]  # fmt: skip
        for message in sent:
            await socket.send(encode_to_server(message, conform.encoding))
            if isinstance(message, ActionRequest):
                # The handler runs beside the reader; its answer shows that it looked at the set before the next change.
                assert await socket.answer(message.id) is not None
        await socket.exactly(void(1), told, void(2), void(3), told, void(4))


@requirement("ACCESS-031", "ACCESS-033", "WIRE-525")
async def test_a_refused_subscription(conform):
    """The connection is closed without a message, what was sent behind the subscription is not handled, and others go on."""
    actor = conform.get_or_create("accessControlActor")
    async with conform.frames(actor) as refused, conform.frames(actor) as other:
        await refused.subscribe("undefinedEvent")
        await refused.exactly()
        await refused.subscribe("blockedEvent")
        await refused.request(1, "allowedBroadcastUndefinedEvent", "late")
        await refused.exactly(closed=(1011, "auth.forbidden"))
        await other.subscribe("undefinedEvent")
        await other.request(2, "allowedBroadcastBlockedEvent", "x")
        await other.exactly(ActionResponse)
        assert decoded(await conform.post_action(actor, "allowedAction", 1)) == "allowed:1"


@requirement("CONN-075", "EVENT-016", "CONN-070")
async def test_a_disconnected_connection_gets_nothing_more(conform):
    """After the actor disconnected it a connection has the close and no answer; others are told once."""
    actor = conform.get_or_create("connStateActor")
    async with conform.frames(actor) as watcher, conform.frames(actor) as leaves:
        await watcher.subscribe("userDisconnected")
        await watcher.exactly(Event, Event)
        await leaves.subscribe("userDisconnected")
        await leaves.request(1, "disconnectSelf", "bye now")
        await leaves.exactly(Event, Event, closed=(1000, "bye now"))
        await watcher.exactly(Event("userDisconnected", [{"id": leaves.init.connection_id}]))


@requirement("EVENT-001", "WIRE-404")
@any_encoding
@pytest.mark.parametrize("value", [0, False, "", None, 2**40, 1.5], ids=repr)
async def test_each_connection_has_its_own_encoding(conform, value):
    """One broadcast reaches connections of all three encodings with the same value."""
    actor = conform.get_or_create("counter")
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(conform.frames(actor, encoding=one)) for one in ("json", "cbor", "bare")]
        for socket in sockets:
            await socket.subscribe("newCount")
            await socket.exactly()
        await sockets[0].request(1, "setCount", value)
        await sockets[0].exactly(counted(value), ActionResponse(1, value))
        await sockets[1].exactly(counted(value))
        await sockets[2].exactly(counted(value))


@requirement("EVENT-017", "EVENT-032", "HIB-020", "WIRE-621", "WIRE-623")
async def test_subscriptions_over_a_sleep(conform, boundary):
    """Asleep nothing is sent; after a wake by somebody else each connection has the subscriptions it had, and no second `Init`."""
    actor = conform.get_or_create("counter")
    async with AsyncExitStack() as stack:
        kept, twice, left, silent = await several(conform, stack, actor, 4)
        await kept.subscribe("newCount")
        for _ in range(2):
            await twice.subscribe("newCount")
        await left.subscribe("newCount")
        await left.unsubscribe("newCount")
        for socket in (kept, twice, left):
            await socket.exactly()
        await boundary.sleep(actor, via="api")
        for socket in (kept, twice, left, silent):
            await socket.exactly(fence=False)
        actor = conform.get_or_create("counter")
        assert decoded(await conform.post_action(actor, "increment", 4)) == 4
        await kept.exactly(counted(4))
        await twice.exactly(counted(4))
        await left.exactly()
        await silent.exactly()
        await kept.unsubscribe("newCount")
        await kept.exactly()
        await boundary.sleep(actor, via="api")
        assert decoded(await conform.post_action(conform.get_or_create("counter"), "increment", 1)) == 5
        await kept.exactly()
        await twice.exactly(counted(5))
