"""Suite actor-inspector-socket: the inspector's WebSocket protocol."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from websockets import ConnectionClosed

from driver_tests.inspecting import inspect, query_url
from driver_tests.inspector_messages import decode_history
from driver_tests.inspector_socket import InspectorError, InspectorSocket, ending, inspecting, opened, state_is, until_shown
from harness import any_encoding, capability, depends_on, encodings, requirement, suite, timing
from harness.testing.codecs import dump_value, load_value

pytestmark = [
    suite("actor-inspector-socket"),
    capability("inspector"),
    any_encoding,
    depends_on("actor-inspector-socket::test_token_forms(subprotocol)"),
]

WRONG = "wrong"
VERSIONS = (1, 2, 3, 4, 5, 6, None)
VERSION_IDS = ["v1", "v2", "v3", "v4", "v5", "v6", "legacy"]


async def until_saved(eventually, conform, name, wanted):
    """Open sockets until the first message shows a state; a runtime may show what was saved last."""

    async def first():
        async with inspecting(conform, name) as (_, init):
            return load_value(init["state"])

    return await eventually(first, until=wanted, what="the state in the first message")


# Opening.


@requirement("INSP-131")
@pytest.mark.parametrize("header", [False, True], ids=["subprotocol", "header"])
async def test_token_forms(conform, header):
    """The token comes as sub-protocol or header; the server selects `rivet`."""
    inspector = await inspect(conform, "counter")
    async with opened(conform, inspector, header=header) as connection:
        assert connection.subprotocol == "rivet"
        assert (await InspectorSocket(conform, connection, 6).receive())[0] == "Init"


@requirement("INSP-133")
@pytest.mark.parametrize("token", ["", "wrong"], ids=["missing", "wrong"])
async def test_token_is_required(conform, token):
    """Without the token the socket opens and closes with 1008, without any message."""
    async with opened(conform, await inspect(conform, "counter"), token=token) as connection:
        assert await ending(conform, connection) == ([], 1008, "inspector.unauthorized")


@requirement("INSP-132")
@pytest.mark.parametrize("version", ["", "0", "7", "abc", "-1", "6.0"])
async def test_invalid_version(conform, version):
    """An invalid version opens and closes with 1002, before the token is looked at."""
    async with opened(conform, await inspect(conform, "counter"), f"?protocol_version={version}", token=WRONG) as connection:
        assert await ending(conform, connection) == ([], 1002, "inspector.invalid_protocol_version")


@requirement("INSP-001", "INSP-130")
async def test_query_form(conform):
    """The query form of a gateway URL reaches the socket, too."""
    inspector = await inspect(conform, "counter")
    url = query_url(conform, "counter", "/inspector/connect").partition("?")
    path = f"{url[2]}&protocol_version=6"
    inspector.actor_id = "counter"  # the name stands where the id stood
    async with opened(conform, inspector, f"?{path}") as connection:
        assert (await InspectorSocket(conform, connection, 6).receive())[0] == "Init"


@requirement("INSP-004", "INSP-137")
@encodings("json")
@timing
async def test_wakes_a_sleeping_actor(conform, boundary, eventually):
    """Opening a socket wakes the actor; the first message shows its state."""
    actor_id = await boundary.sleep(conform.get_or_create("sleep"))
    inspector = await inspect(conform, "sleep")
    await boundary.sleep(conform.get_or_create("sleep"))
    async with opened(conform, inspector) as connection:
        assert (await InspectorSocket(conform, connection, 6).receive())[0] == "Init"
        assert inspector.actor_id == actor_id and not await boundary.is_asleep(actor_id)
    await until_saved(eventually, conform, "sleep", lambda state: state["startCount"] == 3)


@requirement("INSP-135", "INSP-136", "INSP-137", "INSP-170")
@pytest.mark.parametrize("version", VERSIONS, ids=VERSION_IDS)
async def test_init(conform, version):
    """Every version begins with its own form of `Init`."""
    inspector = await inspect(conform, "counter")
    assert (await inspector.request("PATCH", "state", json={"state": {"count": 3}})).status_code == 200
    async with inspecting(conform, "counter", version) as (_, init):
        assert load_value(init["state"]) == {"count": 3} and init["isStateEnabled"] is True
        assert init["connections"] == [] and init["rpcs"] == sorted(init["rpcs"])
        assert {"increment", "getCount", "setCount"} <= set(init["rpcs"])
        if version != 1:
            assert (init["queueSize"], init["workflowHistory"], init["isWorkflowEnabled"]) == (0, None, False)


@requirement("INSP-137", "INSP-031")
async def test_init_of_a_stateless_actor(conform):
    """An actor without state says so."""
    async with inspecting(conform, "statelessActor") as (socket, init):
        assert (init["state"], init["isStateEnabled"]) == (None, False)
        answer = await socket.ask("State")
        assert (answer["state"], answer["isStateEnabled"]) == (None, False)


@requirement("INSP-137")
async def test_requests_before_init(conform):
    """What is sent before the first message came is answered in order of arrival."""
    async with opened(conform, await inspect(conform, "counter")) as connection:
        socket = InspectorSocket(conform, connection, 6)
        for number in (5, 6, 7):
            await socket.send("State", id=number)
        seen = [await socket.receive() for _ in range(4)]
        assert sorted(kind for kind, _ in seen) == ["Init", "StateResponse", "StateResponse", "StateResponse"]
        assert [fields["rid"] for kind, fields in seen if kind == "StateResponse"] == [5, 6, 7]


# Requests.


@requirement("INSP-150", "INSP-170")
@pytest.mark.parametrize("version", VERSIONS, ids=VERSION_IDS)
async def test_basic_requests(conform, eventually, version):
    """State, connections, action names and actions mean the same in every version."""
    async with inspecting(conform, "counter", version) as (socket, _):
        assert await socket.action("increment", 4) == 4
        await until_shown(eventually, socket, 4)
        assert "increment" in (await socket.ask("RpcsList"))["rpcs"]
        assert isinstance((await socket.ask("Connections"))["connections"], list)


@requirement("INSP-150")
async def test_ids_are_echoed(conform):
    """Each answer carries the id of its request, whatever its size."""
    async with inspecting(conform, "counter") as (socket, _):
        for number in (0, 1, 127, 128, 300, 2**32, 2**53):
            await socket.send("RpcsList", id=number)
            assert (await socket.until("RpcsListResponse"))["rid"] == number


@requirement("INSP-151")
async def test_errors_leave_the_socket_open(conform):
    """Undecodable frames and failed requests give `Error`; the next request is answered."""
    async with inspecting(conform, "counter") as (socket, _):
        for frame in (b"", b"\xff", b"\x01", b"\x03\x01\x00\x02\xff"):
            await socket.connection.send(frame)
            assert (await socket.until("Error"))["message"]
        with pytest.raises(InspectorError, match="nothingOfTheKind"):
            await socket.action("nothingOfTheKind")
        assert (await socket.ask("State"))["isStateEnabled"] is True


@requirement("INSP-152")
async def test_patch_state(conform):
    """A patch replaces the state and answers with it; the next request shows it."""
    async with inspecting(conform, "counter") as (socket, _):
        await socket.send("PatchState", state=dump_value({"count": 42}))
        await socket.until("StateUpdated", state_is(42))
        assert load_value((await socket.ask("State"))["state"]) == {"count": 42}


@requirement("INSP-154")
async def test_action_errors(conform):
    """A failing action gives its error text."""
    async with inspecting(conform, "errorHandlingActor") as (socket, _):
        with pytest.raises(InspectorError, match="Simple error message"):
            await socket.action("throwSimpleError")


@requirement("INSP-154", "INSP-161")
async def test_action_has_a_connection(conform):
    """An action runs on a connection of its own, which is seen to come and go."""
    async with inspecting(conform, "counter") as (socket, _):
        await socket.action("increment", 1)
        kinds = [len(fields["connections"]) for kind, fields in socket.pushed if kind == "ConnectionsUpdated"]
        assert 1 in kinds
        await socket.until("ConnectionsUpdated", lambda fields: fields["connections"] == [])


@requirement("INSP-150", "INSP-153", "INSP-062")
async def test_queue(conform):
    """The queue is shown up to the limit, which is cut to 200; the size counts all."""
    inspector = await inspect(conform, "queueActor")
    for index in range(3):
        await inspector.post("queue", {"name": "greeting", "body": {"n": index}})
    async with inspecting(conform, "queueActor") as (socket, init):
        assert init["queueSize"] == 3
        status = (await socket.ask("Queue", limit=2))["status"]
        assert (status["size"], status["maxSize"], status["truncated"]) == (3, 1000, True)
        assert [message["name"] for message in status["messages"]] == ["greeting", "greeting"]
        status = (await socket.ask("Queue", limit=1000))["status"]
        assert len(status["messages"]) == 3 and status["truncated"] is False


@requirement("INSP-153")
async def test_queue_limit_is_cut(conform):
    """Never more than 200 messages."""
    inspector = await inspect(conform, "queueActor")
    for _ in range(21):
        await asyncio.gather(*(inspector.post("queue", {"name": "greeting"}) for _ in range(10)))
    async with inspecting(conform, "queueActor") as (socket, _):
        status = (await socket.ask("Queue", limit=500))["status"]
        assert (status["size"], len(status["messages"]), status["truncated"]) == (210, 200, True)


@requirement("INSP-150")
async def test_traces(conform):
    """A trace query is answered."""
    async with inspecting(conform, "counter") as (socket, _):
        answer = await socket.ask("TraceQuery", startMs=0, endMs=1, limit=5)
        assert set(answer) == {"rid", "payload"}
        assert isinstance(answer["payload"], bytes)


@requirement("INSP-150", "INSP-080")
@encodings("json")
async def test_database_schema(conform):
    """The schema is the one of the HTTP API."""
    await conform.get_or_create("dbActorRaw").action("insertMany", 3)
    async with inspecting(conform, "dbActorRaw") as (socket, init):
        assert init["isDatabaseEnabled"] is True
        tables = load_value((await socket.ask("DatabaseSchema"))["schema"])["tables"]
        [data] = [table for table in tables if table["table"]["name"] == "test_data"]
        assert data["records"] == 3 and [column["name"] for column in data["columns"]][:2] == ["id", "value"]


@requirement("INSP-150", "INSP-153")
@encodings("json")
async def test_database_rows(conform):
    """Rows come with limit and offset; an unknown table is an error."""
    await conform.get_or_create("dbActorRaw").action("insertMany", 5)
    async with inspecting(conform, "dbActorRaw") as (socket, _):
        rows = load_value((await socket.ask("DatabaseTableRows", table="test_data", limit=2, offset=1))["result"])
        assert [row["id"] for row in rows] == [2, 3]
        with pytest.raises(InspectorError, match="nothing_there"):
            await socket.ask("DatabaseTableRows", table="nothing_there", limit=1, offset=0)


@requirement("INSP-155")
@pytest.mark.parametrize(("name", "fields"), [("WorkflowHistory", {}), ("WorkflowReplay", {"entryId": None})])
async def test_not_a_workflow(conform, name, fields):
    """Another actor has no history."""
    async with inspecting(conform, "counter") as (socket, _):
        answer = await socket.ask(name, **fields)
        assert (answer["history"], answer["isWorkflowEnabled"]) == (None, False)


# Schedules.


@requirement("INSP-157", "INSP-163")
@encodings("json")
async def test_schedules(conform):
    """A one-shot is shown, pushed, and cancelled once."""
    actor = conform.get_or_create("scheduled")
    async with inspecting(conform, "scheduled") as (socket, init):
        assert init["schedules"] == []
        await actor.action("scheduleTaskAfterWithId", "later", 600_000)
        await socket.until("SchedulesUpdated", lambda fields: len(fields["schedules"]) == 1)
        [item] = (await socket.ask("Schedules"))["schedules"]
        assert (item["kind"], item["action"], item["lastRunAt"]) == ("at", "onScheduledTaskWithId", None)
        assert load_value(item["args"]) == ["later"]
        for deleted in (True, False):
            answer = await socket.ask("ScheduleDelete", scheduleId=item["id"], kind="at")
            assert (answer["scheduleId"], answer["deleted"]) == (item["id"], deleted)
        assert (await socket.ask("Schedules"))["schedules"] == []


@requirement("INSP-163")
@encodings("json")
@timing
async def test_fired_schedule_is_pushed(conform, witness, eventually):
    """A schedule that fires leaves the list."""
    actor = conform.get_or_create("scheduled")
    async with inspecting(conform, "scheduled") as (socket, _):
        await actor.action("scheduleTaskAfter", 100)
        await socket.until("SchedulesUpdated", lambda fields: len(fields["schedules"]) == 1)
        witness.hit("the schedule in the list")
        await socket.until("SchedulesUpdated", lambda fields: fields["schedules"] == [])
        await eventually(lambda: actor.action("getScheduledCount"), until=lambda count: count == 1, what="the scheduled action")


@requirement("INSP-157")
async def test_unknown_schedule_kind(conform):
    """Another kind has its text."""
    async with inspecting(conform, "scheduled") as (socket, _):
        with pytest.raises(InspectorError, match='invalid inspector schedule kind "never"'):
            await socket.ask("ScheduleDelete", scheduleId="x", kind="never")


@requirement("INSP-153")
@pytest.mark.parametrize("limit", [0, 5000])
async def test_schedule_history(conform, limit):
    """A schedule without fires has an empty history; the limit is cut, not refused."""
    async with inspecting(conform, "scheduled") as (socket, _):
        answer = await socket.ask("ScheduleHistory", scheduleId="unknown", limit=limit)
        assert (answer["scheduleId"], answer["history"]) == ("unknown", [])


# Pushes.


@requirement("INSP-160")
@encodings("json")
async def test_state_change_is_pushed(conform):
    """A change by an action reaches every socket."""
    async with inspecting(conform, "counter") as (first, _), inspecting(conform, "counter") as (second, _):
        await conform.get_or_create("counter").action("increment", 9)
        for socket in (first, second):
            await socket.until("StateUpdated", state_is(9))


@requirement("INSP-160", "INSP-033")
async def test_http_patch_is_pushed(conform):
    """A patch over HTTP is pushed."""
    inspector = await inspect(conform, "counter")
    async with inspecting(conform, "counter") as (socket, _):
        assert (await inspector.request("PATCH", "state", json={"state": {"count": 77}})).status_code == 200
        await socket.until("StateUpdated", state_is(77))


@requirement("INSP-160", "INSP-165")
@encodings("json")
async def test_last_state_push_is_the_newest(conform):
    """After a burst of changes the pushes never go back and end with the last value."""
    actor = conform.get_or_create("counter")
    async with inspecting(conform, "counter") as (socket, _):
        for _ in range(20):
            await actor.action("increment", 1)
        seen = [0]
        while seen[-1] != 20:
            seen.append(load_value((await socket.until("StateUpdated"))["state"])["count"])
        assert seen == sorted(seen)


@requirement("INSP-161")
@encodings("json")
async def test_connections_are_pushed(conform):
    """A connection is seen with its parameters when it opens, and gone when it closes."""
    async with inspecting(conform, "counterWithParams") as (socket, _):
        async with conform.connected(conform.get_or_create("counterWithParams", params={"name": "alice"})) as conn:
            opened_as = await socket.until("ConnectionsUpdated", lambda fields: len(fields["connections"]) == 1)
            [shown] = opened_as["connections"]
            assert shown["id"] == conn.connection_id
            assert load_value(shown["details"])["params"] == {"name": "alice"}
        await socket.until("ConnectionsUpdated", lambda fields: fields["connections"] == [])


@requirement("INSP-161")
@encodings("json")
async def test_http_action_gives_two_connection_pushes(conform):
    """An action over HTTP opens and closes a connection."""
    async with inspecting(conform, "counter") as (socket, _):
        await conform.get_or_create("counter").action("getCount")
        assert len((await socket.until("ConnectionsUpdated"))["connections"]) == 1
        await socket.until("ConnectionsUpdated", lambda fields: fields["connections"] == [])


@requirement("INSP-162")
async def test_queue_size_is_pushed(conform):
    """The size is pushed when messages come and go."""
    inspector = await inspect(conform, "queueActor")
    async with inspecting(conform, "queueActor") as (socket, _):
        await inspector.post("queue", {"name": "greeting"})
        await socket.until("QueueUpdated", lambda fields: fields["queueSize"] == 1)
        await inspector.request("DELETE", "queue")
        await socket.until("QueueUpdated", lambda fields: fields["queueSize"] == 0)


# Workflows.


async def until_completed(eventually, conform):
    """The inspector of a workflow that has ended."""
    inspector = await inspect(conform, "workflowReplayActor")
    await eventually(
        lambda: inspector.get("workflow-history"), until=lambda shown: shown["workflowState"] == "completed", what="the end of the workflow"
    )
    return inspector


@requirement("INSP-150", "WF-220")
@timing
async def test_workflow_history(conform, eventually):
    """`Init` and the answer hold the same history: both steps, completed, with their metadata."""
    inspector = await until_completed(eventually, conform)
    shown = (await inspector.get("workflow-history"))["history"]
    async with inspecting(conform, "workflowReplayActor") as (socket, init):
        assert init["isWorkflowEnabled"] is True
        answer = await socket.ask("WorkflowHistory")
        history = decode_history(answer["history"])
        assert decode_history(init["workflowHistory"]) == history and set(history) == {"one", "two"}
        assert {entry["id"] for entry in history.values()} == {entry["id"] for entry in shown["entries"]}
        for entry in history.values():
            metadata = shown["entryMetadata"][entry["id"]]
            assert entry["kind"] == "step" and entry["metadata"] == {**metadata, "status": metadata["status"].lower()}


@requirement("INSP-150", "INSP-094")
async def test_loop_history(conform, eventually):
    """Iterations are markers behind the name of their loop."""

    async def ask():
        async with inspecting(conform, "workflowCounterActor") as (socket, _):
            answer = await socket.ask("WorkflowHistory")
            return decode_history(answer["history"]) if answer["history"] else {}

    def complete(history):
        return {"step", "loop", "sleep"} <= {entry["kind"] for entry in history.values()}

    history = await eventually(ask, until=complete, what="a loop with a step and a sleep")
    for path, entry in history.items():
        assert path == "counter" if entry["kind"] == "loop" else path.startswith("counter/counter~")


@requirement("INSP-150", "INSP-164", "WF-210", "WF-217")
@encodings("json")
@pytest.mark.parametrize("target", ["one", None], ids=["first-step", "beginning"])
@timing
async def test_replay(conform, eventually, target):
    """A replay answers with the emptied history, and both steps run again."""
    inspector = await until_completed(eventually, conform)
    shown = (await inspector.get("workflow-history"))["history"]
    entry = next((item["id"] for item in shown["entries"] if shown["nameRegistry"][item["location"][0]["val"]] == target), None)

    async def replay():
        # The actor may go to sleep between two attempts: each has a socket of its own.
        with contextlib.suppress(InspectorError, ConnectionClosed):
            async with inspecting(conform, "workflowReplayActor") as (socket, _):
                answer = await socket.ask("WorkflowReplay", entryId=entry)
                if "WorkflowHistoryUpdated" not in [kind for kind, _ in socket.pushed]:
                    await socket.until("WorkflowHistoryUpdated")
                return answer
        return None

    answer = await eventually(replay, until=lambda given: given is not None, what="a replay that is accepted")
    assert answer["isWorkflowEnabled"] is True
    assert not answer["history"] or decode_history(answer["history"]) == {}
    actor = conform.get_or_create("workflowReplayActor")
    await eventually(lambda: actor.action("getTimeline"), until=lambda seen: len(seen) == 4, what="both steps again")


@requirement("INSP-156", "WF-215")
@encodings("json")
@timing
async def test_replay_in_flight(conform, eventually):
    """A running workflow cannot be replayed: an error, and what is finished stays."""
    actor = conform.get_or_create("workflowRunningStepActor")
    inspector = await inspect(conform, "workflowRunningStepActor")
    await eventually(lambda: inspector.get("workflow-history"), until=lambda shown: shown["history"], what="the first step")
    async with inspecting(conform, "workflowRunningStepActor") as (socket, _):
        with pytest.raises(InspectorError, match=r"(?i)replay"):
            await socket.ask("WorkflowReplay", entryId=None)
        history = decode_history((await socket.ask("WorkflowHistory"))["history"])
        assert history["prepare"]["metadata"]["attempts"] == 1
    await actor.action("release")
