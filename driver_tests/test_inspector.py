"""Suite actor-inspector: the inspector's HTTP API."""

from __future__ import annotations

import asyncio

import pytest

from driver_tests.inspecting import UNAUTHORIZED, Inspector, inspect, query_url
from harness import any_encoding, capability, encodings, requirement, suite, timing

pytestmark = [suite("actor-inspector"), any_encoding, capability("inspector")]


@requirement("INSP-013", "INSP-014")
@pytest.mark.parametrize("headers", [{}, {"authorization": ""}, {"authorization": "Bearer wrong"}, {"authorization": "Bearer"}])
async def test_token_is_required(conform, headers):
    """Missing, empty and wrong tokens are refused alike."""
    inspector = await inspect(conform, "counter")
    response = await inspector.request("GET", "state", headers=headers)
    assert response.status_code == 401 and response.json() == UNAUTHORIZED


@requirement("INSP-016")
@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "BEARER {}", "{}"])
async def test_token_forms(conform, form):
    """The scheme word may be in any case or left out."""
    inspector = await inspect(conform, "counter")
    response = await inspector.request("GET", "state", headers={"authorization": form.format(inspector.token)})
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("application/json")


@requirement("INSP-008")
@pytest.mark.parametrize(("method", "path"), [("GET", "nothing"), ("POST", "state"), ("DELETE", "summary"), ("GET", "workflow/replay")])
async def test_unknown_routes(conform, method, path):
    """Unknown paths and wrong methods are not found."""
    response = await (await inspect(conform, "counter")).request(method, path)
    assert response.status_code == 404
    assert (response.json()["group"], response.json()["code"]) == ("actor", "not_found")
    assert response.json()["message"] == "Inspector route was not found"


@requirement("INSP-008", "INSP-013")
async def test_unknown_route_needs_the_token(conform):
    """The token is checked before the route."""
    assert (await (await inspect(conform, "counter")).request("GET", "nothing", headers={})).status_code == 401


@requirement("INSP-001", "INSP-002")
async def test_query_form(conform):
    """The query form of a gateway URL keeps the inspector's own parameters."""
    inspector = await inspect(conform, "queueActor")
    for index in range(3):
        await inspector.post("queue", {"name": "greeting", "body": {"n": index}})
    url = query_url(conform, "queueActor", "/inspector/queue") + "&limit=2"
    response = await conform.http.get(url, headers={"authorization": f"Bearer {inspector.token}"})
    assert response.status_code == 200, response.text
    assert (response.json()["size"], len(response.json()["messages"]), response.json()["truncated"]) == (3, 2, True)


@requirement("INSP-003")
async def test_precedes_the_raw_handler(conform):
    """An actor with a raw request handler serves the inspector all the same."""
    assert "isStateEnabled" in await (await inspect(conform, "rawHttpActor")).get("state")


@requirement("INSP-004")
@encodings("json", "cbor", "bare")
@timing
async def test_wakes_a_sleeping_actor(conform, boundary):
    """An inspector request wakes the actor."""
    actor = conform.get_or_create("sleep")
    actor_id = await boundary.sleep(actor)
    inspector = await inspect(conform, "sleep")
    assert inspector.actor_id == actor_id
    assert (await inspector.get("state"))["state"]["startCount"] == 2


@requirement("INSP-030")
@encodings("json", "cbor", "bare")
async def test_state(conform):
    """The state in memory is shown."""
    await conform.get_or_create("counter").action("increment", 7)
    assert await (await inspect(conform, "counter")).get("state") == {"state": {"count": 7}, "isStateEnabled": True}


@requirement("INSP-031", "INSP-035")
async def test_stateless_actor(conform):
    """An actor without state says so and cannot be patched."""
    inspector = await inspect(conform, "statelessActor")
    assert await inspector.get("state") == {"isStateEnabled": False}
    response = await inspector.request("PATCH", "state", json={"state": {"a": 1}})
    assert response.status_code == 400 and response.json()["code"] == "state_not_enabled"


@requirement("INSP-032", "INSP-034")
@encodings("json", "cbor", "bare")
@timing
async def test_patch_state(conform, boundary):
    """A patch replaces the whole state, saved at once; a body without state changes nothing."""
    inspector = await inspect(conform, "counter")
    response = await inspector.request("PATCH", "state", json={"state": {"count": 42}})
    assert response.status_code == 200 and response.json() == {"ok": True}
    assert (await inspector.request("PATCH", "state", json={"other": 1})).json() == {"ok": True}
    assert await conform.get_or_create("counter").action("getCount") == 42
    await boundary.sleep(conform.get_or_create("counter"), via="api")
    assert await conform.get_or_create("counter").action("getCount") == 42


@requirement("INSP-036", "INSP-057")
@pytest.mark.parametrize(("method", "path"), [("PATCH", "state"), ("POST", "action/getCount"), ("POST", "queue")])
async def test_malformed_json(conform, method, path):
    """A body that is not JSON is refused with a structured error and changes nothing."""
    inspector = await inspect(conform, "counter")
    response = await inspector.request(method, path, content=b"{nope")
    assert response.status_code in (400, 500)
    assert response.json()["group"] == "actor" and response.json()["code"] in ("internal_error", "invalid_request")
    assert (await inspector.get("state"))["state"] == {"count": 0}


@requirement("INSP-040", "INSP-042")
@encodings("json", "cbor", "bare")
async def test_connections(conform, eventually):
    """Open connections are listed with their parameters; the inspector itself is not one."""
    inspector = await inspect(conform, "counterWithParams")
    assert (await inspector.get("connections"))["connections"] == []
    async with conform.connected(conform.get_or_create("counterWithParams", params={"name": "alice"})) as conn:
        await conn.action("getInitializers")
        [shown] = (await inspector.get("connections"))["connections"]
        assert shown["id"] == conn.connection_id and shown["type"] is None
        assert shown["details"]["params"] == {"name": "alice"}
        assert shown["details"]["stateEnabled"] is True
        assert isinstance(shown["details"]["isHibernatable"], bool)
    await eventually(
        lambda: inspector.get("connections"), until=lambda seen: seen == {"connections": []}, what="the connection to leave the list"
    )


@requirement("INSP-045")
async def test_actions_are_sorted(conform):
    """Action names come in ascending order."""
    names = (await (await inspect(conform, "counter")).get("rpcs"))["rpcs"]
    assert names == sorted(names)
    assert {"increment", "getCount", "setCount"} <= set(names)


@requirement("INSP-050", "INSP-051", "INSP-058")
@encodings("json", "cbor", "bare")
@pytest.mark.parametrize(("body", "output"), [({"args": [5]}, 5), ({"args": 6}, 6)], ids=["list", "single"])
async def test_run_action(conform, body, output):
    """Arguments are a list or one value; the result is the output and the state is changed."""
    inspector = await inspect(conform, "counter")
    assert await inspector.post("action/increment", body) == {"output": output}
    assert await conform.get_or_create("counter").action("getCount") == output


@requirement("INSP-051")
async def test_run_action_without_arguments(conform):
    """No arguments at all."""
    assert await (await inspect(conform, "counter")).post("action/getCount", {}) == {"output": 0}


@requirement("INSP-052", "INSP-053", "INSP-007")
@pytest.mark.parametrize(
    ("body", "text"),
    [({"properties": 3}, "properties must be an object"), ({"args": [], "properties": {}}, "use either args or properties, not both")],
    ids=["no-object", "both"],
)
async def test_action_argument_errors(conform, body, text):
    """Argument errors have the short body."""
    response = await (await inspect(conform, "counter")).request("POST", "action/getCount", json=body)
    assert response.status_code == 400 and response.json() == {"error": text}


@requirement("INSP-054")
async def test_unknown_action(conform):
    """An unknown action is not found."""
    response = await (await inspect(conform, "counter")).request("POST", "action/nope", json={})
    assert response.status_code == 404
    assert (response.json()["group"], response.json()["code"]) == ("action", "action_not_found")


@requirement("INSP-056")
async def test_action_error(conform):
    """A user error of the handler is shown with its message."""
    response = await (await inspect(conform, "errorHandlingActor")).request("POST", "action/throwSimpleError", json={})
    assert response.status_code == 400
    assert (response.json()["group"], response.json()["message"]) == ("user", "Simple error message")


@requirement("INSP-060", "INSP-061", "INSP-062", "INSP-064")
async def test_queue(conform):
    """Messages are enqueued and listed without bodies; the size counts all."""
    inspector = await inspect(conform, "queueActor")
    assert (await inspector.get("queue"))["messages"] == []
    for index in range(3):
        made = await inspector.post("queue", {"name": "greeting", "body": {"n": index}})
        assert made["name"] == "greeting" and made["id"].isdecimal()
    shown = await inspector.get("queue", params={"limit": "2"})
    assert (shown["size"], shown["truncated"], shown["maxSize"]) == (3, True, 1000)
    assert [set(message) for message in shown["messages"]] == [{"id", "name", "createdAtMs"}] * 2
    assert (await inspector.get("queue", params={"limit": "3"}))["truncated"] is False


@requirement("INSP-061")
@pytest.mark.parametrize(("limit", "count"), [("0", 3), ("-1", 3), ("abc", 3), ("1.9", 1), ("100", 3)])
async def test_queue_limits(conform, limit, count):
    """Nonsense limits count as 100, fractions are rounded down."""
    inspector = await inspect(conform, "queueActor")
    for _ in range(3):
        await inspector.post("queue", {"name": "greeting"})
    assert len((await inspector.get("queue", params={"limit": limit}))["messages"]) == count


@requirement("INSP-064")
@encodings("json", "cbor", "bare")
async def test_queued_message_is_received(conform):
    """A message of the inspector reaches the actor's receive."""
    await (await inspect(conform, "queueActor")).post("queue", {"name": "greeting", "body": {"hello": "inspector"}})
    message = await conform.get_or_create("queueActor").action("receiveOne", "greeting")
    assert message["name"] == "greeting" and message["body"] == {"hello": "inspector"}


@requirement("INSP-065", "INSP-066")
@pytest.mark.parametrize("body", [{}, {"name": ""}], ids=["missing", "empty"])
async def test_queue_name_is_required(conform, body):
    """A message needs a name."""
    response = await (await inspect(conform, "queueActor")).request("POST", "queue", json=body)
    assert response.status_code == 400
    assert (response.json()["code"], response.json()["message"]) == ("invalid_request", "Queue message name must not be empty")


@requirement("INSP-068")
async def test_clear_queue(conform):
    """All messages are removed."""
    inspector = await inspect(conform, "queueActor")
    await inspector.post("queue", {"name": "greeting"})
    response = await inspector.request("DELETE", "queue")
    assert response.status_code == 200 and response.json() == {}
    assert (await inspector.get("queue"))["size"] == 0


@requirement("INSP-070")
async def test_traces(conform):
    """Traces have their shape; of a time before the actor there are none."""
    inspector = await inspect(conform, "counter")
    assert await inspector.get("traces", params={"startMs": "0", "endMs": "1", "limit": "5"}) == {"otlp": [], "clamped": False}
    shown = await inspector.get("traces")
    assert (set(shown), type(shown["otlp"]), type(shown["clamped"])) == ({"otlp", "clamped"}, list, bool)


@requirement("INSP-080", "INSP-081", "INSP-082")
@encodings("json", "cbor", "bare")
async def test_database_schema(conform):
    """Tables come in order of name with columns, keys and row counts."""
    await conform.get_or_create("dbActorRaw").action("insertMany", 3)
    tables = (await (await inspect(conform, "dbActorRaw")).get("database/schema"))["schema"]["tables"]
    names = [table["table"]["name"] for table in tables]
    assert names == sorted(names) and not [name for name in names if name.startswith(("sqlite_", "__drizzle_"))]
    [data] = [table for table in tables if table["table"]["name"] == "test_data"]
    assert data["table"] == {"schema": "main", "name": "test_data", "type": "table"}
    assert [column["name"] for column in data["columns"]] == ["id", "value", "payload", "created_at"]
    assert data["foreignKeys"] == [] and data["records"] == 3


@requirement("INSP-083")
@encodings("json", "cbor", "bare")
@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({}, [1, 2, 3, 4]),
        ({"limit": "2"}, [1, 2]),
        ({"limit": "2", "offset": "3"}, [4]),
        ({"limit": "-1"}, []),
        ({"offset": "-5"}, [1, 2, 3, 4]),
    ],
    ids=["all", "limit", "offset", "negative-limit", "negative-offset"],
)
async def test_database_rows(conform, query, ids):
    """Rows by limit and offset."""
    await conform.get_or_create("dbActorRaw").action("insertMany", 4)
    shown = await (await inspect(conform, "dbActorRaw")).get("database/rows", params={"table": "test_data", **query})
    assert [row["id"] for row in shown["rows"]] == ids


@requirement("INSP-084", "INSP-085")
@encodings("json", "cbor", "bare")
async def test_database_rows_errors(conform):
    """A missing table name is a short error, an unknown one an SQL error that is shown."""
    inspector = await inspect(conform, "dbActorRaw")
    missing = await inspector.request("GET", "database/rows")
    assert missing.status_code == 400 and missing.json() == {"error": "Missing required table query parameter"}
    for name in ("nope", "test_data; DROP TABLE test_data", 'x" OR 1'):
        unknown = await inspector.request("GET", "database/rows", params={"table": name})
        assert unknown.status_code == 500 and unknown.json()["group"] == "core"
        assert "no such table" in unknown.json()["metadata"]["error"]
    assert await conform.get_or_create("dbActorRaw").action("getCount") == 0


@requirement("INSP-086", "INSP-087")
@pytest.mark.parametrize(
    ("body", "rows"),
    [
        ({"sql": "SELECT 1 AS one"}, [{"one": 1}]),
        ({"sql": "SELECT ? AS a, ? AS b", "args": ["x", 2]}, [{"a": "x", "b": 2}]),
        ({"sql": "SELECT :a AS a", "properties": {"a": 5}}, [{"a": 5}]),
        ({"sql": "SELECT :a AS a", "properties": {":a": 5}}, [{"a": 5}]),
        ({"sql": "SELECT @a AS a", "properties": {"@a": "t"}}, [{"a": "t"}]),
        ({"sql": "CREATE TABLE inspected (id INTEGER)"}, []),
    ],
    ids=["plain", "positional", "named", "colon", "at", "ddl"],
)
async def test_database_execute(conform, body, rows):
    """One statement with its parameters."""
    assert await (await inspect(conform, "dbActorRaw")).post("database/execute", body) == {"rows": rows}


@requirement("INSP-086")
@encodings("json", "cbor", "bare")
@timing
async def test_database_write_is_durable(conform, boundary):
    """A write through the inspector survives a sleep."""
    sql = "INSERT INTO test_data (value, created_at) VALUES (?, 1)"
    await (await inspect(conform, "dbActorRaw")).post("database/execute", {"sql": sql, "args": ["inspected"]})
    await boundary.sleep(conform.get_or_create("dbActorRaw"))
    assert await conform.get_or_create("dbActorRaw").action("getValue", 1) == "inspected"


@requirement("INSP-088")
@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "sql is required"),
        ({"sql": "  "}, "sql is required"),
        ({"sql": 5}, "sql is required"),
        ({"sql": "SELECT 1", "args": [], "properties": {}}, "use either args or properties, not both"),
    ],
    ids=["missing", "blank", "number", "both"],
)
async def test_database_execute_short_errors(conform, body, text):
    """Argument errors have the short body."""
    response = await (await inspect(conform, "dbActorRaw")).request("POST", "database/execute", json=body)
    assert response.status_code == 400 and response.json() == {"error": text}


@requirement("INSP-087", "INSP-089")
async def test_database_execute_errors(conform):
    """SQL errors are shown, a missing named value has its text."""
    inspector = await inspect(conform, "dbActorRaw")
    broken = await inspector.request("POST", "database/execute", json={"sql": "SELEC 1"})
    assert broken.status_code == 500 and broken.json()["code"] == "internal_error" and broken.json()["metadata"]["error"]
    several = await inspector.request("POST", "database/execute", json={"sql": "SELECT 1; SELECT 2"})
    assert several.status_code == 500
    unbound = await inspector.request("POST", "database/execute", json={"sql": "SELECT :a", "properties": {}})
    assert unbound.status_code == 500 and unbound.json()["message"] == "missing bind parameter: :a"


@requirement("DB-003", "INSP-080")
async def test_database_of_an_actor_without_one(conform):
    """The database routes work on every actor."""
    assert await (await inspect(conform, "counter")).post("database/execute", {"sql": "SELECT 2 AS two"}) == {"rows": [{"two": 2}]}


@requirement("INSP-110", "INSP-111")
@encodings("json", "cbor", "bare")
async def test_summary(conform):
    """The summary puts the single routes together."""
    await conform.get_or_create("counter").action("increment", 3)
    shown = await (await inspect(conform, "counter")).get("summary")
    assert shown["state"] == {"count": 3} and shown["isStateEnabled"] is True
    assert shown["connections"] == [] and "increment" in shown["rpcs"]
    assert (shown["queueSize"], shown["isWorkflowEnabled"], shown["workflowState"], shown["workflowHistory"]) == (0, False, None, None)


@requirement("INSP-115", "INSP-116")
@pytest.mark.parametrize("path", ["ui", "ui/index.html"])
async def test_public_assets(conform, path):
    """Assets need no token; a target without an embedded UI says that there is none."""
    response = await (await inspect(conform, "counter")).request("GET", path, headers={})
    assert response.status_code in (200, 404)
    if response.status_code == 404:
        assert response.json()["code"] == "ui_asset_not_found"


@requirement("INSP-117")
async def test_unknown_tab(conform):
    """An unknown custom tab is not found."""
    response = await (await inspect(conform, "counter")).request("GET", "custom-tabs/nope/index.html", headers={})
    assert response.status_code == 404 and response.json()["code"] == "custom_tab_not_found"


@requirement("INSP-010", "INSP-011")
@timing
async def test_token_survives_sleep(conform, boundary):
    """The token is the same after a sleep."""
    before = await inspect(conform, "counter")
    await boundary.sleep(conform.get_or_create("counter"), via="api")
    after = await inspect(conform, "counter")
    assert before.token == after.token
    assert await Inspector(conform, before.actor_id, before.token).get("state")


@requirement("INSP-004", "INSP-150")
async def test_requests_in_parallel(conform):
    """Twenty requests at once are all answered."""
    inspector = await inspect(conform, "counter")
    shown = await asyncio.gather(*(inspector.get("summary") for _ in range(20)))
    assert shown == [await inspector.get("summary")] * 20
