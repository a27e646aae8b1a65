"""The connection protocol against real actors."""

from __future__ import annotations

import pytest

from runtime.http import Request
from runtime.protocol.encodings import Encoding
from runtime.protocol.messages import ErrorFrame, Event, Init
from tests.runtime.connections.actors import Plain, Room
from tests.runtime.connections.world import World, virtual


@pytest.mark.parametrize("encoding", list(Encoding))
@virtual
async def test_a_connection_gets_init_answers_and_events(encoding: Encoding) -> None:
    async with World(Room) as world:
        actor = await world.create("room")
        client = world.connect(actor, encoding, {"name": "ann"})
        init = await client.init()
        assert init.actor_id == actor
        client.subscribe("count")
        assert await client.call("increment", 2) == 2
        assert client.events == [("hello", [init.connection_id]), ("count", [2])]
        assert [type(message) for message in client.messages[:2]] == [Event, Init]
        assert await client.call("ids") == [init.connection_id]
        client.client_close(1000, "Disposed")
        await client.finished()
        other = world.connect(actor)
        log = await other.call("log")
        assert log == [
            ["wake", 0],
            ["before", True, 0, "GET"],
            ["connect", True, True],
            ["disconnect", False, {"seen": 1, "from": "ann"}],
            ["before", True, 0, "GET"],
            ["connect", True, True],
        ]


@pytest.mark.parametrize(
    ("params", "code", "message"),
    [
        ({"deny": True}, "user.denied", "No entry"),
        ({"bad": True}, "rivetkit.internal_error", "An internal error occurred"),
        ({"late": True}, "user.late", "late"),
    ],
)
@virtual
async def test_a_failed_step_is_an_error_frame_and_a_close(params: object, code: str, message: str) -> None:
    async with World(Room) as world:
        actor = await world.create("room")
        client = world.connect(actor, params=params)
        assert await client.closed() == (1011, code)
        frame = client.messages[-1]
        assert isinstance(frame, ErrorFrame)
        assert (f"{frame.error.group}.{frame.error.code}", frame.error.message) == (code, message)
        assert (frame.action_id, frame.error.actor) == (None, None)
        assert not any(isinstance(message, Init) for message in client.messages)
        watcher = world.connect(actor)
        log = await watcher.call("log")
        assert not any(entry[0] == "disconnect" for entry in log)
        assert len(await watcher.call("ids")) == 1


@virtual
async def test_setup_that_takes_too_long_fails() -> None:
    async with World(Room) as world:
        client = world.connect(await world.create("room"), params={"stall": True})
        await client.until(lambda: client.close is not None, 20)
        assert client.close == (1011, "actor.callback_timed_out")


@virtual
async def test_bad_offers_are_refused() -> None:
    async with World(Room) as world:
        actor = await world.create("room")
        unknown = world.connect(actor, offered=("rivet", "rivet_encoding.xml"))
        assert await unknown.closed() == (1003, "actor.unsupported_websocket_encoding")
        broken = ("rivet", "rivet_conn_params.%7Bnope")
        assert await world.connect(actor, offered=broken).closed() == (1011, "guard.websocket_closed_before_open#ray")
        assert await world.raw(actor, offered=broken).closed() == (1011, "core.internal_error")


@virtual
async def test_a_kicked_connection_loses_its_answer_and_disconnects_once() -> None:
    async with World(Room) as world:
        actor = await world.create("room")
        client = world.connect(actor)
        await client.init()
        number = client.request("kick", "game.over")
        assert await client.closed() == (1000, "game.over")
        await client.finished()
        assert client.answer(number) is None
        log = await world.connect(actor).call("log")
        assert sum(entry[0] == "disconnect" for entry in log) == 1


@virtual
async def test_pipelined_requests_start_in_order_and_run_concurrently() -> None:
    async with World(Room) as world:
        client = world.connect(await world.create("room"))
        slow = client.request("slow", 1.0)
        numbers = [client.request("order", number) for number in range(50)]
        for number, request in enumerate(numbers):
            assert await client.response(request) == number
        assert client.answer(slow) is None
        assert await client.response(slow) == "slow"
        log = await client.call("log")
        assert [entry for entry in log if isinstance(entry, int)] == list(range(50))


@virtual
async def test_action_errors_keep_the_connection() -> None:
    async with World(Room) as world:
        actor = await world.create("room")
        client = world.connect(actor)
        failed = await client.call("fail")
        assert (failed.error.group, failed.error.code, failed.error.message, failed.error.metadata) == ("user", "nope", "nope", {"a": 1})
        assert (failed.error.actor.actor_id, failed.error.actor.key) == (actor, "k")
        missing = await client.call("nothing")
        assert (missing.error.group, missing.error.code) == ("actor", "action_not_found")
        assert await client.call("increment") == 1


@virtual
async def test_sizes() -> None:
    async with World(Room, max_incoming_message_size=1000, max_outgoing_message_size=2000) as world:
        actor = await world.create("room")
        client = world.connect(actor)
        answer = await client.call("big", 3000)
        assert (answer.error.code, answer.error.message, answer.error.actor) == ("outgoing_too_long", "Outgoing message too long", None)
        assert await client.call("big", 10) == "x" * 10
        client.request("emit", "x" * 2000)
        assert await client.closed() == (1011, "message.incoming_too_long")
        other = world.connect(actor)
        await other.init()
        other.request("whisper", "huge", "y" * 800, "z" * 2)
        other.subscribe("huge")
        assert await other.call("seen") == 0
        task = world.task(actor)
        task.conns.broadcast("huge", ["x" * 3000])
        assert await other.closed() == (1011, "message.outgoing_too_long")


@pytest.mark.parametrize(
    "frame",
    ["{", "[]", '{"body":{"tag":"Nope","val":{}}}', '{"body":{"tag":"ActionRequest","val":{"id":-1,"name":"a","args":[]}}}'],
)
@virtual
async def test_undecodable_frames_close(frame: str) -> None:
    async with World(Room) as world:
        client = world.connect(await world.create("room"))
        await client.init()
        client.client_send(frame)
        assert await client.closed() == (1011, "actor.invalid_request")


@virtual
async def test_guards_decide_and_hold_back_later_frames() -> None:
    async with World(Room) as world:
        actor = await world.create("room")
        client = world.connect(actor)
        await client.init()
        client.subscribe("slowGuard")
        client.subscribe("guarded")
        await client.response(client.request("emit", "slowGuard", 1))
        await client.call("emit", "guarded", 2)
        client.subscribe("guarded", on=False)
        await client.call("emit", "guarded", 3)
        assert client.events[1:] == [("slowGuard", [1]), ("guarded", [2])]
        guest = world.connect(actor, params={"guest": True})
        await guest.init()
        guest.subscribe("guarded")
        late = guest.request("increment")
        assert await guest.closed() == (1011, "auth.forbidden")
        await guest.finished()
        assert guest.answer(late) is None
        assert await client.call("increment") == 1
        odd = world.connect(actor)
        await odd.init()
        odd.subscribe("oddGuard")
        assert await odd.closed() == (1011, "rivetkit.internal_error")


@virtual
async def test_event_schemas_are_checked_before_anybody_gets_anything() -> None:
    async with World(Room) as world:
        client = world.connect(await world.create("room"))
        await client.init()
        client.subscribe("typed")
        failed = await client.call("emit", "typed", "no number")
        assert (failed.error.group, failed.error.code) == ("actor", "validation_error")
        await client.call("emit", "typed", 5)
        assert client.events[1:] == [("typed", [5])]


@virtual
async def test_events_reach_subscribers_only_in_order() -> None:
    async with World(Room) as world:
        actor = await world.create("room")
        one, two = world.connect(actor), world.connect(actor, Encoding.CBOR)
        await one.init()
        await two.init()
        two.subscribe("count")
        await two.call("seen")
        for _ in range(3):
            await one.call("increment")
        await one.call("whisper", "count", "direct")
        assert [event for event in two.events if event[0] == "count"] == [("count", [1]), ("count", [2]), ("count", [3])]
        assert [event for event in one.events if event[0] == "count"] == [("count", ["direct"])]


@virtual
async def test_http_kinds_have_a_connection_only_while_they_run() -> None:
    async with World(Plain, Room) as world:
        plain = world.task(await world.create("plain"))
        async with plain.conns.transient() as conn:
            assert len(plain.conns) == 1
            assert list(plain.conns.view) == [conn.id]
            assert not conn.is_hibernatable
            conn.send("nothing")
        assert len(plain.conns) == 0
        assert plain.metrics.connections_total == 1
        assert plain.metrics.connections == 0
        room = world.task(await world.create("room"))
        with pytest.raises(Exception, match="No entry"):
            async with room.conns.transient({"deny": True}, Request("POST", "http://127.0.0.1/action/increment", {})):
                raise AssertionError
        assert len(room.conns) == 0


@virtual
async def test_a_full_dispatch_inbox_is_answered_at_once() -> None:
    from runtime.declaration.options import Options

    class Tiny(Room):
        options = Options(dispatch_command_inbox_capacity=2)

    async with World(Tiny) as world:
        client = world.connect(await world.create("tiny"))
        await client.init()
        numbers = [client.request("increment") for _ in range(30)]
        answers = [await client.response(number) for number in numbers]
        refused = [answer for answer in answers if isinstance(answer, ErrorFrame)]
        for answer in refused:
            assert answer.error.code == "overloaded"
            assert answer.error.metadata == {"channel": "dispatch_inbox", "capacity": 2, "operation": "dispatch_action"}
        assert await client.call("increment") == len(answers) - len(refused) + 1


@virtual
async def test_an_open_connection_keeps_the_actor_awake() -> None:
    async with World(Room) as world:
        actor = await world.create("room")
        client = world.connect(actor)
        await client.init()
        before = world.task(actor)
        await client.call("slow", 5.0)
        assert world.task(actor) is before
        client.client_close(1000)
        await world.asleep(actor)
