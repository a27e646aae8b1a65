"""Suite gateway-details: error bodies, forms of action names, lengths, wakes, subscriptions."""

from __future__ import annotations

import pytest

from harness import any_encoding, encodings, requirement, suite
from harness.codec.messages import Event
from harness.testing.codecs import new_id

pytestmark = [suite("gateway-details"), any_encoding]

ENCODINGS = ["json", "cbor", "bare"]


@requirement("WIRE-837", "WIRE-008", "WIRE-836")
@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_gateway_errors_are_json(conform, encoding):
    """A gateway-made error is JSON whatever encoding was asked for."""
    response = await conform.http.post(f"/gateway/{new_id()}/action/getCount", content=b"", headers={"x-rivet-encoding": encoding})
    assert response.status_code == 404
    assert response.headers["content-type"].startswith("application/json")
    assert (response.json()["group"], response.json()["code"]) == ("actor", "not_found")


@requirement("WIRE-302")
async def test_action_names_are_percent_decoded(conform):
    """An escaped name is the same action."""
    actor_id = await conform.get_or_create("counter").resolve()
    response = await conform.http.post(
        f"/gateway/{actor_id}/action/%67etCount", content=b'{"args":[]}', headers={"x-rivet-encoding": "json"}
    )
    assert response.status_code == 200 and response.json()["output"] == 0


@requirement("WIRE-302")
@pytest.mark.parametrize("path", ["/action/", "/action", "/action/a/b"])
async def test_action_name_is_one_segment(conform, path):
    """An empty name and two segments are no actions."""
    actor_id = await conform.get_or_create("counter").resolve()
    response = await conform.http.post(f"/gateway/{actor_id}{path}", content=b'{"args":[]}', headers={"x-rivet-encoding": "json"})
    assert response.status_code == 404


@requirement("WIRE-253")
async def test_bodies_have_a_length(conform):
    """Responses are complete: they carry their length."""
    actor_id = await conform.get_or_create("rawHttpActor").resolve()
    response = await conform.http.get(f"/gateway/{actor_id}/request/api/hello")
    assert (response.status_code, response.json()) == (200, {"message": "Hello from actor!"})
    assert response.headers["content-length"] == str(len(response.content))


@requirement("WIRE-307", "WIRE-200")
@encodings("json", "cbor", "bare")
async def test_http_wakes(conform, boundary):
    """A plain HTTP action wakes a sleeping actor and is answered."""
    actor_id = await boundary.sleep(conform.get_or_create("sleep"))
    response = await conform.http.post(
        f"/gateway/{actor_id}/action/getCounts", content=b'{"args":[]}', headers={"x-rivet-encoding": "json"}
    )
    assert response.status_code == 200 and response.json()["output"]["startCount"] == 2


@requirement("WIRE-505", "EVENT-010", "EVENT-001")
@encodings("json", "cbor", "bare")
async def test_subscriptions_belong_to_one_connection(conform):
    """Another connection of the same client hears nothing, neither without a subscription nor with one to something else."""
    actor = conform.get_or_create("counter")
    async with conform.frames(actor) as first, conform.frames(actor) as second, conform.frames(actor) as third:
        await first.subscribe("newCount")
        await second.subscribe("otherEvent")
        for socket in (first, second, third):
            await socket.exactly()
        assert await actor.action("increment", 2) == 2
        await first.exactly(Event("newCount", [2]))
        await second.exactly()
        await third.exactly()
        assert len({socket.init.connection_id for socket in (first, second, third)}) == 3
