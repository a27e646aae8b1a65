"""Suite inspector-messages: exactly what an inspector socket is told, when, and that it is told nothing else."""

from __future__ import annotations

import contextlib

import pytest

from client import UNDEFINED
from driver_tests.falsy import FALSY
from driver_tests.inspecting import inspect
from driver_tests.inspector_socket import InspectorError, InspectorSocket, ending, inspecting, opened
from harness import any_encoding, capability, requirement, suite, timing
from harness.testing.codecs import dump_value, load_value
from harness.testing.interpreter import latch, later, made, op, play, ref, trace, traced

pytestmark = [suite("inspector-messages"), any_encoding, capability("inspector")]

NAMES = ["destroy", "exec", "setProgram", "triggerSleep"]


def kinds(told):
    """The names of messages."""
    return [kind for kind, _ in told]


def states(told, member="x"):
    """A member of the state in each push of it."""
    return [load_value(fields["state"])[member] for kind, fields in told if kind == "StateUpdated"]


def once(values):
    """Values without repetitions of the one before: a push may come twice (INSP-166)."""
    return [value for place, value in enumerate(values) if place == 0 or values[place - 1] != value]


def details(connections):
    """What is shown of each connection, by its id."""
    return {shown["id"]: load_value(shown["details"]) for shown in connections}


async def silent_exec(inspector, *program):
    """Run a program through the HTTP inspector: without a connection, so that only its own changes are pushed."""
    return (await inspector.post("action/exec", {"args": [list(program)]})).get("output")


@requirement("INSP-137", "INSP-170", "INSP-172")
@pytest.mark.parametrize("version", [1, 2, 3, 4, 5, 6, None], ids=["v1", "v2", "v3", "v4", "v5", "v6", "legacy"])
async def test_first_message(conform, version):
    """`Init` shows the actor as it is: connections, state, actions, queue, schedules; each version what it knows."""
    actor = made(conform, state={"x": 0}, createConnState=[op("value", value={"s": False})])
    once_at, every = later(600_000), op("cron.set", name="often", interval=3_600_000, action="exec", args=[[]])
    await play(actor, op("schedule.at", at=once_at, action="exec", args=[[], 0]), every, op("queue.send", name="jobs"))
    async with conform.frames(actor, params=[None], encoding="json") as client:
        await client.subscribe("event")
        await client.exactly()
        async with inspecting(conform, "interpreter", version) as (socket, init):
            assert details(init["connections"]) == {
                client.init.connection_id: {
                    "type": None, "params": [None], "stateEnabled": True, "state": {"s": False}, "subscriptions": 1, "isHibernatable": True,
                },
            }  # fmt: skip
            assert load_value(init["state"])["x"] == 0 and init["isStateEnabled"] is True and init["rpcs"] == NAMES
            number = version or 5
            assert ("events" in init) == (number == 1)
            if number >= 2:
                assert (init["queueSize"], init["workflowHistory"], init["isWorkflowEnabled"]) == (1, None, False)
            assert init.get("tabConfig", []) == [] and ("tabConfig" in init) == (number >= 5)
            assert ("schedules" in init) == (number == 6)
            if number == 6:
                assert [one["kind"] for one in init["schedules"]] == ["at", "every"]
            assert set(states(await socket.told())) <= {0}


@requirement("INSP-150")
@pytest.mark.parametrize("number", [0, 1, 127, 128, 2**32, 2**53 - 1])
async def test_ids(conform, number):
    """A request is answered with its id, whatever it is, once."""
    async with inspecting(conform, "counter") as (socket, _):
        await socket.send("State", id=number)
        kind, answer = await socket.receive()
        assert (kind, answer["rid"], answer["isStateEnabled"]) == ("StateResponse", number, True)
        assert await socket.told() == []


@requirement("INSP-150", "INSP-137")
async def test_answers_come_in_order(conform):
    """Requests sent in one go are answered one by one, in their order, also those sent before the first message came."""
    inspector = await inspect(conform, "counter")
    async with opened(conform, inspector) as connection:
        socket = InspectorSocket(conform, connection, 6)
        asked = ["State", "RpcsList", "Connections", "State", "WorkflowHistory"]
        for number, name in enumerate(asked):
            await socket.send(name, id=number)
        came = [await socket.receive() for _ in range(len(asked) + 1)]
        assert sorted(kind for kind, _ in came if kind == "Init") == ["Init"]
        assert [(kind, fields["rid"]) for kind, fields in came if kind != "Init"] == [
            (f"{name}Response", number) for number, name in enumerate(asked)
        ]


@requirement("INSP-160")
async def test_reading_is_told_to_nobody(conform):
    """Requests that change nothing cause no push, on the socket that asks and on others."""
    made(conform)
    async with inspecting(conform, "interpreter") as (socket, _), inspecting(conform, "interpreter") as (other, _):
        for name, fields in (
            ("State", {}), ("Connections", {}), ("RpcsList", {}), ("Queue", {"limit": 5}), ("WorkflowHistory", {}), ("Schedules", {}),
            ("DatabaseSchema", {}), ("TraceQuery", {"startMs": 0, "endMs": 1, "limit": 1}),
        ):  # fmt: skip
            await socket.ask(name, **fields)
        assert await socket.told(1.5) == [] and await other.told() == []


@requirement("INSP-160", "INSP-161", "INSP-162")
@pytest.mark.parametrize("value", FALSY.values(), ids=FALSY)
async def test_a_change_of_state(conform, value):
    """It is pushed at once with the new state, again when it is saved, and nothing else is."""
    await made(conform, state={"x": 1}).resolve()
    inspector = await inspect(conform, "interpreter")
    async with inspecting(conform, "interpreter") as (socket, _):
        await silent_exec(inspector, op("set", at="state.x", value=value))
        told = await socket.told(1.5)
        assert set(kinds(told)) == {"StateUpdated"} and once(states(told)) == [value]
        assert len(told) >= 2, "no push after the save"


@requirement("INSP-160")
async def test_pace_of_unsaved_changes(conform):
    """Of changes every 5 ms in half a second one in 50 ms is pushed, in their order; the last one is the last."""
    await made(conform, state={"x": -1}).resolve()
    inspector = await inspect(conform, "interpreter")
    async with inspecting(conform, "interpreter") as (socket, _):
        await silent_exec(inspector, op("save", immediate=True))
        await socket.told()
        await silent_exec(inspector, op("repeat", times=100, do=[op("set", at="state.x", value=ref("index")), op("wait", ms=5)]))
        seen = states(await socket.told(1.5))
        assert seen == sorted(seen) and seen[-1] == 99
        assert 4 <= len(once(seen)) <= 24, seen


@requirement("INSP-152", "INSP-160")
@pytest.mark.parametrize("value", FALSY.values(), ids=FALSY)
async def test_a_patch_over_the_socket(conform, value, boundary):
    """It is answered with the new state, other sockets are told, and the state lasts."""
    actor = made(conform, state={"x": 1})
    await play(actor)
    async with inspecting(conform, "interpreter") as (socket, _), inspecting(conform, "interpreter") as (other, _):
        state = {"programs": {}, "x": value}
        await socket.send("PatchState", state=dump_value(state))
        for one in (socket, other):
            kind, fields = await one.receive()
            assert (kind, load_value(fields["state"])) == ("StateUpdated", state)
        assert load_value((await socket.ask("State"))["state"]) == state
        assert set(kinds(await other.told(1.2))) <= {"StateUpdated"}
    await boundary.sleep(actor, via="api")
    assert (await (await inspect(conform, "interpreter")).get("state"))["state"] == state


@requirement("INSP-161")
async def test_a_connection_from_its_beginning_to_its_end(conform):
    """Opening, subscribing, new state, unsubscribing and closing are pushed with what is then true, and nothing else is."""
    actor = made(conform, state={"x": 0})
    await actor.resolve()
    async with inspecting(conform, "interpreter") as (socket, _):

        async def changes():
            """Pushes of connections; a save may push the state as it was."""
            told = await socket.told()
            assert set(kinds(told)) <= {"ConnectionsUpdated", "StateUpdated"} and set(states(told)) <= {0}
            return [fields for kind, fields in told if kind == "ConnectionsUpdated"]

        async with conform.frames(actor, params={"p": 0}, encoding="json") as client:
            own = client.init.connection_id
            base = {"type": None, "params": {"p": 0}, "stateEnabled": True, "isHibernatable": True}

            async def then(**expected):
                told = await changes()
                assert details(told[-1]["connections"]) == {own: {**base, **expected}}

            await then(state={}, subscriptions=0)
            await client.subscribe("event")
            await then(state={}, subscriptions=1)
            await client.subscribe("other")
            await then(state={}, subscriptions=2)
            await client.request(1, "exec", [op("set", at="conn.state.n", value=0)])
            await then(state={"n": 0}, subscriptions=2)
            await client.unsubscribe("event")
            await then(state={"n": 0}, subscriptions=1)
            await client.exactly(*[lambda _: True])
        assert (await changes())[-1]["connections"] == []


@requirement("INSP-161")
@pytest.mark.parametrize("hooks", [False, True])
async def test_an_http_call_is_told_twice(conform, hooks):
    """A call over HTTP is pushed as one connection that comes and goes, with hooks and without."""
    name = "connStateActor" if hooks else "counter"
    await conform.get_or_create(name).resolve()
    async with inspecting(conform, name) as (socket, _):
        await conform.get_or_create(name, params={"username": "me"}).action("getCount" if name == "counter" else "getConnectionIds")
        told = [fields["connections"] for kind, fields in await socket.told(1.2) if kind == "ConnectionsUpdated"]
        assert [len(one) for one in told][-1] == 0 and max(len(one) for one in told) == 1 and len(told) >= 2
        [shown] = next(one for one in told if one)
        assert (load_value(shown["details"])["params"], load_value(shown["details"])["isHibernatable"]) == ({"username": "me"}, False)


@requirement("INSP-162", "INSP-160")
async def test_sizes_of_the_queue(conform):
    """Every change of the size is pushed: sends, a receive, a completion, a clearing; a receive that completes later changes nothing."""
    await made(conform).resolve()
    inspector = await inspect(conform, "interpreter")
    async with inspecting(conform, "interpreter") as (socket, _):

        async def sizes(*program):
            await silent_exec(inspector, *program)
            told = await socket.told()
            assert set(kinds(told)) <= {"QueueUpdated"}
            return once([fields["queueSize"] for _, fields in told])

        assert await sizes(op("queue.send", name="jobs")) == [1]
        assert (await sizes(op("queue.send", name="jobs"), op("queue.send", name="other"), op("queue.send", name="x")))[-1] == 4
        assert await sizes(op("queue.next", names=["other"])) == [3]
        assert set(await sizes(op("queue.next", completable=True))) <= {3}
        assert await sizes(op("queue.next", completable=True, as_="m"), op("queue.complete", message="m")) in ([2], [3, 2])
        await inspector.request("DELETE", "queue")
        assert once([fields["queueSize"] for _, fields in await socket.told()]) == [0]


@requirement("INSP-140", "INSP-160", "INSP-162")
async def test_every_socket_is_told(conform):
    """All sockets are told the same, also when one that opened before has gone."""
    await made(conform, state={"x": 0}).resolve()
    inspector = await inspect(conform, "interpreter")
    async with contextlib.AsyncExitStack() as stack:
        sockets = [(await stack.enter_async_context(inspecting(conform, "interpreter")))[0] for _ in range(3)]
        for number, left in ((1, sockets), (2, sockets[1:])):
            await silent_exec(inspector, op("queue.send", name="jobs"), op("set", at="state.x", value=number))
            for socket in left:
                told = await socket.told(1.2)
                assert set(kinds(told)) == {"QueueUpdated", "StateUpdated"} and states(told)[-1] == number
                assert [fields["queueSize"] for kind, fields in told if kind == "QueueUpdated"][-1] == number
            await sockets[0].connection.close()


@requirement("INSP-151", "INSP-150")
@pytest.mark.parametrize(
    "frame",
    [b"", b"\x01", b"\x63\x01", b"\xff\xff", "text", b"\x03\x01\x05ab"],
    ids=["empty", "short", "unknown", "nonsense", "text", "cut"],
)
async def test_frames_that_mean_nothing(conform, frame):
    """Each gets one `Error`, nothing more, and the socket serves on."""
    async with inspecting(conform, "counter") as (socket, _):
        for _ in range(2):
            await socket.connection.send(frame)
            kind, fields = await socket.receive()
            assert (kind, set(fields)) == ("Error", {"message"}) and fields["message"]
        assert load_value((await socket.ask("State"))["state"]) == {"count": 0}
        assert await socket.told() == []


@requirement("INSP-151", "INSP-154")
@pytest.mark.parametrize(
    ("request_name", "fields", "text"),
    [
        ("Action", {"name": "nope", "args": dump_value([])}, "nope"),
        ("DatabaseTableRows", {"table": "nothing_there", "limit": 1, "offset": 0}, "nothing_there"),
        ("ScheduleDelete", {"scheduleId": "x", "kind": "never"}, 'invalid inspector schedule kind "never"'),
        ("Action", {"name": "exec", "args": dump_value([[op("throw", message="told")]])}, "told"),
    ],
    ids=["unknown-action", "unknown-table", "kind", "thrown"],
)
async def test_requests_that_fail(conform, request_name, fields, text):
    """The error has the text, once, and no answer follows it."""
    await made(conform).resolve()
    async with inspecting(conform, "interpreter") as (socket, _):
        with pytest.raises(InspectorError) as caught:
            await socket.ask(request_name, **fields)
        assert text in str(caught.value)
        assert set(kinds(await socket.told())) <= {"ConnectionsUpdated"}
        assert (await socket.ask("RpcsList"))["rpcs"] == NAMES


@requirement("INSP-154", "INSP-161", "CONN-001")
async def test_an_action_over_the_socket(conform):
    """It runs on a connection of its own with empty parameters: every hook runs once, in order, and it is pushed that it comes and goes."""
    hooks = {name: [trace(name, ref("params"))] for name in ("onBeforeConnect", "createConnState")}
    hooks |= {name: [trace(name, ref("conn.params"))] for name in ("onConnect", "onDisconnect")}
    await made(conform, **hooks).resolve()
    async with inspecting(conform, "interpreter") as (socket, _):
        program = [
            op("conns", as_="all"),
            op("value", value=[ref("conn.params"), ref("conn.isHibernatable"), ref("all.0.id"), ref("conn.id")]),
        ]
        params, hibernatable, listed, own = await socket.action("exec", program)
        assert (params, hibernatable, listed) == (None, False, own)
        told = await socket.told()
        assert set(kinds(told)) == {"ConnectionsUpdated"}
        counts = [len(fields["connections"]) for _, fields in told]
        assert max(counts) == 1 and counts[-1] == 0 and len(counts) >= 2
    seen = await traced(conform)
    assert [record["label"] for record in seen] == ["onBeforeConnect", "createConnState", "onConnect", "onDisconnect"]
    assert all(record["value"] in (None, UNDEFINED) for record in seen)


@requirement("INSP-153", "INSP-150")
@pytest.mark.parametrize(("limit", "shown"), [(0, 0), (1, 1), (199, 199), (200, 200), (201, 200), (1000, 200)])
async def test_the_queue_over_the_socket(conform, limit, shown):
    """At most 200 messages, the oldest first, with their times; whether there are more is told."""
    actor = made(conform, state={"x": 0})
    await play(actor, op("repeat", times=201, do=[op("queue.send", name="jobs")]))
    listed = (await (await inspect(conform, "interpreter")).get("queue", params={"limit": "201"}))["messages"]
    async with inspecting(conform, "interpreter") as (socket, _):
        status = (await socket.ask("Queue", limit=limit))["status"]
        assert status == {"size": 201, "maxSize": 1000, "truncated": True, "messages": listed[:shown]}


@requirement("INSP-153", "INSP-083")
@pytest.mark.parametrize(("limit", "offset", "ids"), [
    (499, 0, range(1, 500)), (500, 0, range(1, 501)), (501, 0, range(1, 501)), (10, 498, range(499, 502)), (10, 501, []), (0, 0, []),
])  # fmt: skip
async def test_rows_over_the_socket(conform, limit, offset, ids):
    """At most 500 rows, from the offset on."""
    actor = made(conform, "interpreterDb")
    numbers = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 501) INSERT INTO t SELECT x FROM n"
    await play(actor, op("sql", sql="CREATE TABLE t (x INTEGER)"), op("sql", sql=numbers))
    async with inspecting(conform, "interpreterDb") as (socket, _):
        rows = load_value((await socket.ask("DatabaseTableRows", table="t", limit=limit, offset=offset))["result"])
        assert [row["x"] for row in rows] == list(ids)


@requirement("INSP-138", "INSP-139")
@timing
@pytest.mark.parametrize("end", ["sleep", "destroy"])
async def test_nothing_comes_after_the_stop(conform, boundary, end):
    """The stop of the actor closes its sockets; what is held in grace is not told as an answer."""
    actor = made(conform, "interpreterSleepy", onSleep=[latch("grace")], onDestroy=[latch("grace")])
    await play(actor)
    async with inspecting(conform, "interpreterSleepy") as (socket, _):
        stop = conform.spawn(play(actor, op("sleep" if end == "sleep" else "destroy")))
        await conform.latch("grace").arrived()
        assert socket.connection.close_code is None
        await conform.latch("grace").release()
        assert await socket.closed() == (1000, "actor.stopped")
        await stop


@requirement("INSP-132", "INSP-133")
@pytest.mark.parametrize("version", ["", "0", "7", "-1", "1.0", "six", "%206", "60"])
@pytest.mark.parametrize("token", [None, "wrong", ""], ids=["right", "wrong", "none"])
async def test_no_other_version(conform, version, token):
    """What is no version ends the socket with its reason and without a message, whatever the token is."""
    inspector = await inspect(conform, "counter")
    async with opened(conform, inspector, f"?protocol_version={version}", token=token) as connection:
        assert await ending(conform, connection) == ([], 1002, "inspector.invalid_protocol_version")


@requirement("INSP-171", "INSP-172", "INSP-170")
@pytest.mark.parametrize("version", [1, 2, 5])
async def test_pushes_in_older_versions(conform, version):
    """Version 1 is told of a queue by the error for what it does not know; schedules are left out of all versions below 6."""
    await made(conform).resolve()
    inspector = await inspect(conform, "interpreter")
    async with inspecting(conform, "interpreter", version) as (socket, _):
        await silent_exec(inspector, op("queue.send", name="jobs"), op("schedule.after", ms=600_000, do=[]))
        told = await socket.told()
        if version == 1:
            assert {(kind, fields.get("message")) for kind, fields in told} == {("Error", "inspector.queue_dropped")}
        else:
            assert {(kind, fields.get("queueSize")) for kind, fields in told} == {("QueueUpdated", 1)}
