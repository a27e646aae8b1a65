"""Suite grace-details: sockets, subscriptions and calls between the order to stop and the end of the generation."""

from __future__ import annotations

from client import SocketClosedError
from harness import capability, requirement, suite, timing

pytestmark = [suite("grace-details"), timing]

WINDOW = "hibernationSleepWindowActor"
TRACKED = "sleepRawWsAddEventListenerMessage"
UNOPENED = "guard.websocket_closed_before_open"
"""What a gateway may make of an actor's refusal to open a socket."""


async def asleep_soon(watcher, eventually):
    """Order the sleep of an actor of many milliseconds of grace, and return as soon as grace has begun."""
    sleeping = []
    watcher.on("sleeping", lambda *args: sleeping.append(args))
    await watcher.action("getActorCounts")
    await watcher.action("triggerSleep")
    await eventually(lambda: sleeping, until=bool, what="the sleeping event")


@requirement("CONN-083", "HIB-044", "RAWWS-031")
async def test_raw_socket_works_during_grace(conform, boundary, witness):
    """A message that arrives in grace is handled and answered by the old generation, which then closes the socket; its state is kept."""
    actor = conform.get_or_create(TRACKED)
    socket = await actor.web_socket()
    assert await socket.recv() == '{"type":"connected"}'
    await socket.send("track-message")
    assert await socket.recv() == '{"type":"message-started"}'
    await actor.action("triggerSleep")
    try:
        await socket.send("track-message")
        assert await socket.recv() == '{"type":"message-started"}'
    except SocketClosedError:
        witness.hit("a message in grace", False)
        return
    witness.hit("a message in grace")
    assert await socket.wait_closed() == (1000, "actor.stopped")
    await boundary.sleep(actor, via="idle")
    status = await conform.get_or_create(TRACKED).action("getStatus")
    assert (status["startCount"], status["sleepCount"]) == (2, 1)
    assert (status["messageStarted"], status["messageFinished"]) == (2, 2)


@requirement("HIB-060", "CONN-084", "HIB-062", "CONN-076")
@capability("destroy_like_sleep")
async def test_destroy_disconnects_only_what_cannot_hibernate(conform, boundary, eventually):
    """At a destroy onDisconnect runs for a raw socket and not for connections; all of them are closed with 1000 actor.stopped."""
    actor = conform.get_or_create("connStateActor", params={"noCount": True})
    actor_id = await actor.resolve()
    socket = await actor.web_socket(params={"username": "raw"})
    (raw,) = await eventually(
        lambda: actor.action("getConnectionIds"), until=lambda found: len(found) == 1, what="the connection of the raw socket"
    )
    async with conform.frames(actor_id, {}) as first, conform.frames(actor_id, {}) as second:
        for number, connection in enumerate((first, second)):
            await connection.subscribe("userDisconnected")
            await connection.request(number, "getConnectionState")
            await connection.receive()
        await boundary.destroy(actor, via="api")
        for connection in (first, second):
            assert await connection.wait_closed() == (1000, "actor.stopped")
            assert connection.events("userDisconnected") == [[{"id": raw}]]
    assert await socket.wait_closed() == (1000, "actor.stopped")


@requirement("HIB-062")
@capability("destroy_like_sleep")
async def test_destroy_closes_hibernatable_raw_sockets(conform, boundary):
    """A hibernatable raw socket is closed when its actor was destroyed, awake or asleep."""
    for asleep in (False, True):
        actor = conform.get_or_create("rawWebSocketActor")
        socket = await actor.web_socket()
        assert await socket.recv() == '{"type":"welcome","connectionCount":1}'
        if asleep:
            await boundary.sleep(actor)
            actor = conform.get_or_create("rawWebSocketActor")
        await boundary.destroy(actor, via="api")
        code, reason = await socket.wait_closed()
        assert (code, reason) == (1000, "actor.stopped") or (asleep and (code, reason.partition("#")[0]) == (1011, "actor.not_found"))


@requirement("CONN-085", "HIB-047", "WIRE-212", "WIRE-230")
async def test_newcomers_in_grace(conform, eventually, witness):
    """Without waiting, calls and raw sockets reach the old generation, which closes the latter; others are held for the next one."""
    actor, eager = conform.get_or_create(WINDOW), conform.get_or_create(WINDOW, skip_ready_wait=True)
    async with conform.connected(actor) as watcher:
        await asleep_soon(watcher, eventually)
        held = conform.spawn(actor.action("getActorCounts"))
        newcomer = actor.connect()
        socket = await eager.web_socket()
        old = await eager.action("getActorCounts")
        witness.hit("the old generation", old == {"sleepCount": 1, "wakeCount": 1})
        assert await held == {"sleepCount": 1, "wakeCount": 2}
        assert await socket.wait_closed() == (1000, "actor.stopped")
        assert await newcomer.action("getActorCounts") == {"sleepCount": 1, "wakeCount": 2}
        await newcomer.dispose()


@requirement("CONN-085")
async def test_connection_made_in_grace_survives(conform, eventually, witness):
    """A connection that the old generation accepts in grace goes on in the next one, unnoticed."""
    actor, eager = conform.get_or_create(WINDOW), conform.get_or_create(WINDOW, skip_ready_wait=True)
    async with conform.connected(actor) as watcher:
        await asleep_soon(watcher, eventually)
        async with conform.connected(eager) as survivor:
            seen, own_id = [], survivor.connection_id
            survivor.on_status_change(seen.append)
            witness.hit("the old generation", await eager.action("getActorCounts") == {"sleepCount": 1, "wakeCount": 1})
            assert await actor.action("getActorCounts") == {"sleepCount": 1, "wakeCount": 2}
            assert await survivor.action("getActorCounts") == {"sleepCount": 1, "wakeCount": 2}
            assert (seen, survivor.connection_id) == ([], own_id)


async def refusals(conform, actor, actor_id):
    """What a new call and a new connection get that do not wait until the actor is ready."""
    response = await conform.post_action(actor, "nothing", encoding="json", headers={"x-rivet-skip-ready-wait": "1"})
    async with conform.frames(actor_id, skip_ready_wait=True, accepted=False) as connection:
        code, reason = await connection.wait_closed()
    assert (response.status_code, code) in ((500, 1011), (404, 1011))
    return f"{response.json()['group']}.{response.json()['code']}", reason.partition("#")[0]


@requirement("CONN-086", "WIRE-212", "TASK-022", "TASK-023")
async def test_newcomers_after_a_destroy_request(conform, boundary, witness):
    """Between an actor's own request for its destruction and the end new calls and connections get actor.destroying."""
    actor = conform.get_or_create("runIgnoresAbortStopTimeout")
    actor_id = await actor.resolve()
    assert (await conform.post_action(actor, "destroy")).status_code == 200
    call, connection = await refusals(conform, actor, actor_id)
    assert call in ("actor.destroying", "actor.not_found")
    assert connection in ("actor.destroying", "actor.not_found", UNOPENED, "guard.actor_stopped_while_waiting_for_websocket_open")
    witness.hit("a call before the end", call == "actor.destroying")
    await boundary.wait_destroyed(actor_id)


@requirement("CONN-086", "TASK-022")
async def test_newcomers_during_a_destroy_order(conform, boundary, eventually):
    """While an actor that the manager destroys finishes its work, newcomers are refused; the work is done to its end."""
    actor = conform.get_or_create("concurrentActionActor")
    actor_id = await actor.resolve()
    slow = conform.spawn(actor.action("runWithDelay", "slow", 1500))
    await eventually(lambda: actor.action("getEvents"), until=lambda seen: seen == ["start:slow"], what="the slow action to start")
    deleted = conform.spawn(conform.rest.destroy_actor(actor_id))

    async def call():
        return await conform.post_action(actor, "getEvents", headers={"x-rivet-skip-ready-wait": "1"})

    await eventually(call, until=lambda found: found.status_code != 200, timeout=1, what="a refusal")
    assert set(await refusals(conform, actor, actor_id)) <= {"actor.destroying", "actor.stopping", UNOPENED}
    assert not slow.done()
    assert await slow == "slow"
    await deleted
    await boundary.wait_destroyed(actor_id)


@requirement("HIB-046", "EVENT-017")
async def test_subscription_in_grace_applies_at_once(conform, eventually):
    """A subscription sent in grace gets the events of the old generation, and is there after the wake."""
    name = "sleepWithLongRpc"
    actor = conform.get_or_create(name)
    async with conform.connected(actor) as watcher, conform.connected(actor) as late:
        started, heard = [], []
        watcher.on("waiting", lambda: started.append(True))
        await watcher.action("getCounts")
        calls = [conform.spawn(actor.action("longRunningRpc"))]
        await eventually(lambda: started, until=bool, what="the call that holds grace")
        await conform.rest.sleep_actor(await actor.resolve())
        actor, eager = conform.get_or_create(name), conform.get_or_create(name, skip_ready_wait=True)
        await eventually(lambda: eager.action("getCounts"), until=lambda counts: counts["sleepCount"] == 1, what="grace")
        late.on("waiting", lambda: heard.append(True))

        async def emit():
            calls.append(conform.spawn(eager.action("longRunningRpc")))
            return await eager.action("getCounts")

        counts = await eventually(emit, until=lambda _: bool(heard), what="an event in grace")
        assert counts == {"startCount": 1, "sleepCount": 1}
        for call in calls:
            call.cancel()
        await eventually(lambda: actor.action("getCounts"), until=lambda found: found["startCount"] == 2, timeout=25, what="the wake")
        heard.clear()
        conform.spawn(actor.action("longRunningRpc"))
        await eventually(lambda: heard, until=bool, what="the event after the wake")
        await actor.action("finishLongRunningRpc")
