"""Suite inspector-details: bodies and types of answers, separate tokens, schemas, queue limits, framework routes beside the inspector."""

from __future__ import annotations

import pytest

from driver_tests.inspecting import Inspector, inspect
from harness import any_encoding, capability, encodings, requirement, suite
from harness.testing.codecs import query_path

pytestmark = [suite("inspector-details"), any_encoding, capability("inspector")]

NOT_FOUND = {"group": "actor", "code": "not_found", "message": "Inspector route was not found", "metadata": None}
NO_WORKFLOW = {"history": None, "workflowState": None, "isWorkflowEnabled": False}


def is_json(response):
    """Whether the response says that it is JSON."""
    return response.headers["content-type"].partition(";")[0] == "application/json"


@requirement("INSP-005")
async def test_answers_are_json(conform):
    """Successes and errors of every kind of route have their status and the content type of JSON."""
    inspector = await inspect(conform, "queueActor")
    answered = ("state", "connections", "rpcs", "queue", "traces", "workflow-history", "summary", "database/schema")
    for path, status in (*((path, 200) for path in answered), ("nothing", 404)):
        response = await inspector.request("GET", path)
        assert (path, response.status_code, is_json(response)) == (path, status, True)
        assert isinstance(response.json(), dict)
    for method, path, body, status in (
        ("PATCH", "state", {}, 200), ("POST", "action/nothing", {}, 404), ("POST", "action/receiveOne", {"properties": 1}, 400),
        ("POST", "queue", {"name": "greeting"}, 200), ("DELETE", "queue", {}, 200), ("POST", "workflow/replay", {}, 200),
        ("POST", "database/execute", {}, 400),
    ):  # fmt: skip
        response = await inspector.request(method, path, json=body)
        assert (path, response.status_code, is_json(response)) == (path, status, True)
    response = await inspector.request("GET", "state", headers={})
    assert (response.status_code, is_json(response)) == (401, True)


@requirement("INSP-006", "INSP-008", "INSP-056")
async def test_error_bodies(conform):
    """Structured errors have four members; what is not public is shown all the same, with status 500."""
    inspector = await inspect(conform, "errorHandlingActor")
    unknown = await inspector.request("GET", "nothing")
    assert (unknown.status_code, unknown.json()) == (404, NOT_FOUND)
    detailed = await inspector.request("POST", "action/throwDetailedError", json={})
    assert detailed.status_code == 400
    body = detailed.json()
    assert (set(body), body["group"], body["code"]) == ({"group", "code", "message", "metadata"}, "user", "detailed_error")
    assert body["metadata"]["reason"] == "test"
    internal = await inspector.request("POST", "action/throwInternalError", json={})
    assert (internal.status_code, internal.json()["group"], internal.json()["code"]) == (500, "actor", "internal_error")
    assert "This is an internal error" in internal.json()["message"]
    assert set(internal.json()) == {"group", "code", "message", "metadata"}


@requirement("INSP-018")
async def test_access_token_and_inspector_token_are_separate(conform):
    """Neither token stands in for the other, in any form of the path."""
    inspector = await inspect(conform, "counter")
    authorized = {"authorization": f"Bearer {inspector.token}"}
    direct = f"/gateway/{inspector.actor_id}@"
    query = query_path(
        "counter", namespace=conform.namespace, method="getOrCreate", key=conform.key, path="/inspector/state", pool=conform.pool
    )
    for url in (f"{direct}{inspector.token}/inspector/state", f"{query}&rvt-token={inspector.token}"):
        assert (await conform.http.get(url)).status_code == 401, url
    assert (await conform.http.get(f"{direct}x/inspector/state", headers={"x-rivet-token": inspector.token})).status_code == 401
    for url in (f"{direct}other/inspector/state", f"{query}&rvt-token=other"):
        assert (await conform.http.get(url, headers=authorized)).json()["state"] == {"count": 0}


@requirement("INSP-041", "INSP-040")
@encodings("json")
async def test_state_of_connections(conform):
    """A connection is shown with its state if it has one, and with the parameters as they were sent."""
    for name, params, state in (
        ("counter", {"a": [1, None]}, None),
        ("connStateActor", {"username": "u"}, {"username": "u", "counter": 0}),
    ):
        inspector = await inspect(conform, name)
        async with conform.connected(conform.get_or_create(name, params=params)) as conn:
            [shown] = (await inspector.get("connections"))["connections"]
            assert (shown["id"], shown["details"]["params"]) == (conn.connection_id, params)
            if state is None:
                assert "state" not in shown["details"]
            else:
                assert shown["details"]["state"].items() >= state.items()


@requirement("INSP-055")
async def test_arguments_are_validated(conform):
    """An action with a schema refuses through the inspector what it refuses otherwise, and does not run."""
    inspector = await inspect(conform, "nestedActionActor")
    for body in ({"args": ["four"]}, {"args": []}, {"args": [1, 2]}, {"properties": {}}):
        response = await inspector.request("POST", "action/calculator.add", json=body)
        assert response.status_code in (400, 500)
        assert response.json()["code"] in ("validation_error", "internal_error")
    assert await inspector.post("action/calculator.read", {}) == {"output": 0}
    assert await inspector.post("action/calculator.add", {"args": [4]}) == {"output": 4}


@requirement("INSP-063")
@encodings("json")
async def test_uncompleted_messages_are_counted(conform):
    """A message that was received but not completed still belongs to the queue."""
    inspector = await inspect(conform, "queueActor")
    await inspector.post("queue", {"name": "tasks", "body": 1})
    message = await conform.get_or_create("queueActor").action("receiveWithoutComplete", "tasks")
    assert message == {"name": "tasks", "body": 1}
    shown = await inspector.get("queue")
    assert (shown["size"], [item["name"] for item in shown["messages"]]) == (1, ["tasks"])
    assert (await inspector.get("summary"))["queueSize"] == 1


@requirement("INSP-067")
async def test_queue_limits_bind_the_inspector(conform):
    """Messages that are too large and messages beyond the capacity are refused as those of clients are."""
    inspector = await inspect(conform, "queueLimitedActor")
    large = await inspector.request("POST", "queue", json={"name": "message", "body": "x" * 100})
    assert (large.status_code, large.json()["group"], large.json()["code"]) == (400, "queue", "message_too_large")
    await inspector.post("queue", {"name": "message", "body": 1})
    full = await inspector.request("POST", "queue", json={"name": "message", "body": 2})
    assert (full.status_code, full.json()["group"], full.json()["code"]) == (400, "queue", "full")
    assert (await inspector.get("queue"))["size"] == 1


@requirement("INSP-104", "INSP-102")
@pytest.mark.parametrize("content", [b"", b"{nope", b"\xff"], ids=["empty", "truncated", "binary"])
async def test_replay_needs_a_body(conform, content):
    """A replay whose body is no JSON is refused; an empty object is one."""
    inspector = await inspect(conform, "workflowCompleteActor" if content else "counter")
    response = await inspector.request("POST", "workflow/replay", content=content)
    assert response.status_code in (400, 500)
    assert response.json()["group"] == "actor"
    assert response.json()["code"] in ("internal_error", "invalid_request")
    assert await (await inspect(conform, "counter")).post("workflow/replay", {}) == NO_WORKFLOW


@requirement("INSP-120", "INSP-013")
async def test_framework_routes_need_no_token(conform):
    """Health, metadata and metrics of an actor are open, whatever token is sent."""
    actor_id = await conform.get_or_create("counter").resolve()
    for headers in ({}, {"authorization": "Bearer wrong"}):
        health, metadata, metrics = [
            await conform.http.get(f"/gateway/{actor_id}/{path}", headers=headers) for path in ("health", "metadata", "metrics")
        ]
        assert (health.status_code, health.text) == (200, "ok")
        assert health.headers["content-type"].startswith("text/plain")
        shown = metadata.json()
        assert (shown["runtime"], shown["type"], type(shown["version"])) == ("rivetkit", "local", str)
        assert metrics.status_code == 200
        assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert (await Inspector(conform, actor_id, "wrong").request("GET", "state")).status_code == 401


@requirement("INSP-121")
@encodings("json")
@capability("metrics")
async def test_metrics_cover_the_process(conform):
    """The metrics of one actor show the others of its process by name."""
    for name in ("counter", "statelessActor"):
        await conform.get_or_create(name).resolve()
    await conform.get_or_create("counter").action("getCount")
    await conform.get_or_create("statelessActor").action("ping")
    for name in ("counter", "statelessActor"):
        actor_id = await conform.get_or_create(name).resolve()
        text = (await conform.http.get(f"/gateway/{actor_id}/metrics")).text
        assert all(f'actor_name="{shown}"' in text for shown in ("counter", "statelessActor"))
