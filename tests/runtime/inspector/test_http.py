"""The HTTP API: admission, errors, requests, routes."""

import pytest
from structlog.testing import capture_logs

from runtime.inspector.request import DEFAULT_LIMIT, InspectorRequest
from runtime.protocol import jsontext
from tests.runtime.inspector.fake_actor import FakeActor, ask


async def test_no_route_is_looked_for_without_the_token():
    assert (await ask(FakeActor(), "GET", "nowhere", token=None))[1]["code"] == "unauthorized"
    assert (await ask(FakeActor(), "GET", "nowhere"))[1]["code"] == "not_found"


async def test_short_errors_and_structured_ones():
    assert await ask(FakeActor(), "POST", "database/execute", b"{}") == (400, {"error": "sql is required"})
    status, body = await ask(FakeActor(), "PATCH", "state", b'{"state": 1}')
    assert (status, body["code"]) == (400, "state_not_enabled")
    assert (await ask(FakeActor(), "PATCH", "state", b"{"))[1]["code"] == "invalid_request"


async def test_failures_of_its_own_are_answered():
    actor = FakeActor()
    actor.schedules = actor.queue = None
    assert await ask(actor, "GET", "queue") == (
        500, {"group": "actor", "code": "internal_error", "message": "'NoneType' object has no attribute 'messages'", "metadata": None}
    )  # fmt: skip


async def test_a_queue_is_listed_up_to_a_limit():
    actor = FakeActor()
    for name in ("x", "y"):
        assert (await ask(actor, "POST", "queue", jsontext.dumps({"name": name})))[1]["name"] == name
    status, body = await ask(actor, "GET", "queue", query="limit=1.9")
    assert (status, body["size"], body["truncated"], len(body["messages"])) == (200, 2, True, 1)


@pytest.mark.parametrize(
    ("query", "limit"), [("limit=3.7", 3), ("limit=0", DEFAULT_LIMIT), ("limit=x", DEFAULT_LIMIT), ("", DEFAULT_LIMIT)]
)
def test_limits_are_read_with_leniency(query, limit):
    assert InspectorRequest(FakeActor(), "GET", "/", query, None, b"").limit() == limit


async def test_a_summary_has_the_parts_of_the_single_routes():
    status, body = await ask(FakeActor(state={"n": 1}), "GET", "summary")
    assert status == 200
    assert (body["state"], body["queueSize"], body["rpcs"], body["isWorkflowEnabled"]) == ({"n": 1}, 0, ["a", "b"], False)


@pytest.mark.parametrize("number", ["9" * 5_000, "9" * 400, "1e999", "inf", "nan", "1_0", "٣", "0x1", "1e30", "", "--1", "1e", "."])
async def test_numbers_that_are_none_or_do_not_fit(number):
    assert InspectorRequest(FakeActor(), "GET", "/inspector/queue", f"limit={number}", None, b"").limit() == DEFAULT_LIMIT
    status, body = await ask(FakeActor(), "GET", "database/rows", query=f"table=t&offset={number}")
    assert (status, body["metadata"]) == (500, {"error": f"no such column: {number}"})


async def test_values_of_an_unknown_tag_are_the_mistake_of_the_caller_and_not_logged():
    for path, body in (("queue", b'{"name":"x","body":["$Nope",1]}'), ("action/ping", b'{"args":[["$BigInt","x"]]}')):
        with capture_logs() as logs:
            status, answer = await ask(FakeActor(), "POST", path, body)
        assert (status, answer["code"], logs) == (500, "internal_error", [])
