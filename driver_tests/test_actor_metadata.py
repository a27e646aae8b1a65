"""Suite actor-metadata: name, tags, region and the framework's own routes."""

from __future__ import annotations

from harness import any_encoding, requirement, suite

pytestmark = suite("actor-metadata")


@requirement("START-010")
async def test_actor_knows_its_registered_name(conform):
    """The context carries the registered name."""
    actor = conform.get_or_create("metadataActor")
    assert await actor.action("getActorName") == "metadataActor"
    assert await actor.action("getStoredActorName") == "metadataActor"


@requirement("RUN-101")
async def test_tags_are_stored(conform):
    """Stored tags come back one by one and together."""
    actor = conform.get_or_create("metadataActor")
    assert await actor.action("setupTestTags", {"foo": "bar", "env": "test"}) == {"foo": "bar", "env": "test"}
    assert await actor.action("getTag", "foo") == "bar"
    assert await actor.action("getTags") == {"foo": "bar", "env": "test"}


@requirement("WIRE-400")
async def test_unknown_tag_is_null(conform):
    """A tag that does not exist is null, not undefined."""
    actor = conform.get_or_create("metadataActor")
    assert await actor.action("getTag", "missing") is None


@requirement("RUN-101")
async def test_region_is_stored(conform):
    """The region starts as null and can be set."""
    actor = conform.get_or_create("metadataActor")
    assert await actor.action("getRegion") is None
    await actor.action("setupTestRegion", "test-region-1")
    assert await actor.action("getRegion") == "test-region-1"


@requirement("RUN-101")
async def test_metadata_is_collected_and_remembered(conform):
    """The combined metadata is returned and kept in state."""
    actor = conform.get_or_create("metadataActor")
    assert await actor.action("getLastMetadata") is None
    await actor.action("setupTestTags", {"type": "t"})
    await actor.action("setupTestRegion", "r")
    expected = {"name": "metadataActor", "tags": {"type": "t"}, "region": "r"}
    assert await actor.action("getMetadata") == expected
    assert await actor.action("getLastMetadata") == expected


@requirement("RUN-200", "SLEEP-090")
async def test_metadata_survives_sleep(conform, boundary):
    """Everything stored is there after a wake."""
    actor = conform.get_or_create("metadataActor")
    await actor.action("setupTestTags", {"a": 1})
    await boundary.sleep(actor, via="api")
    assert await conform.get_or_create("metadataActor").action("getTags") == {"a": 1}


async def _route(conform, path, method="GET"):
    actor_id = await conform.get_or_create("counter").resolve()
    return await conform.http.request(method, f"/gateway/{actor_id}{path}")


@requirement("WIRE-300")
@any_encoding
async def test_root_route_has_a_banner(conform):
    """GET / answers a text banner."""
    response = await _route(conform, "/")
    assert response.status_code == 200
    assert response.text.splitlines()[0] == "This is an RivetKit actor."


@requirement("WIRE-300")
@any_encoding
async def test_health_route_answers_ok(conform):
    """GET /health answers `ok`."""
    response = await _route(conform, "/health")
    assert response.status_code == 200
    assert response.text == "ok"
    assert response.headers["content-type"].startswith("text/plain")


@requirement("WIRE-300")
@any_encoding
async def test_metadata_route_names_the_runtime(conform):
    """GET /metadata answers runtime, version and type."""
    response = await _route(conform, "/metadata")
    assert response.status_code == 200
    body = response.json()
    assert body["runtime"] == "rivetkit"
    assert isinstance(body["version"], str)
    assert body["type"] in ("local", "deployed")


@requirement("WIRE-300")
@any_encoding
async def test_unknown_route_is_not_found(conform):
    """Any other path is a structured 404 with the route in its metadata."""
    for path in ("/no-such-route", "/connect", "/websocket/x", "/action/", "/action/a/b", "/queue/", "/queue/a/b", "/requestfoo"):
        response = await _route(conform, path)
        assert response.status_code == 404, path
        body = response.json()
        assert (body["group"], body["code"]) == ("actor", "not_found"), path
        assert body["message"] == f"Actor route '{path}' was not found."
        assert body["metadata"] == {"resource": "route", "id": path}


@requirement("WIRE-301", "TASK-113")
@any_encoding
async def test_wrong_method_is_refused(conform):
    """A known route with another method is a structured 405."""
    for path, method in (("/action/getCount", "GET"), ("/action/getCount", "PUT"), ("/queue/x", "GET"), ("/health", "POST")):
        response = await _route(conform, path, method)
        assert response.status_code == 405, path
        body = response.json()
        assert (body["group"], body["code"], body["message"]) == ("actor", "method_not_allowed", "Method not allowed")
        assert body["metadata"] == {"method": method, "path": path}


@requirement("WIRE-254")
async def test_actor_responses_name_the_actor(conform):
    """Id, generation and key travel in response headers."""
    actor = conform.get_or_create("counter")
    actor_id = await actor.resolve()
    await actor.action("getCount")
    response = await conform.http.get(f"/gateway/{actor_id}/health")
    assert response.headers["x-rivet-actor"] == actor_id
    assert int(response.headers["x-rivet-actor-generation"]) >= 1
    assert response.headers["x-rivet-actor-key"] == conform.key[0]
