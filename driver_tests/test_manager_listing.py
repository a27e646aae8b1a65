"""Suite manager-listing: finding actors by id, name and key, page by page."""

from __future__ import annotations

import pytest

from harness import any_encoding, requirement, suite
from harness.testing.codecs import new_id

pytestmark = [suite("manager-listing"), any_encoding]


async def listed(conform, **query):
    """The answer of the list call."""
    headers = {"authorization": f"Bearer {conform.token}"} if conform.token else {}
    return await conform.http.get("/actors", params={"namespace": conform.namespace, **query}, headers=headers)


async def ids_of(conform, **query):
    """Actor ids in the order of the answer."""
    response = await listed(conform, **query)
    assert response.status_code == 200, response.text
    return [actor["actor_id"] for actor in response.json()["actors"]]


async def created(conform, count, name="counter"):
    """Ids of new actors, oldest first."""
    return [await conform.get_or_create(name, conform.unique_key()).resolve() for _ in range(count)]


@requirement("WIRE-064")
@pytest.mark.parametrize("query", [{}, {"name": ""}, {"actor_ids": ""}], ids=["nothing", "empty-name", "empty-ids"])
async def test_name_or_ids_are_required(conform, query):
    """Neither ids nor a name is an error; empty texts count as absent."""
    response = await listed(conform, **query)
    assert response.status_code == 400
    body = response.json()
    assert (body["group"], body["code"]) == ("validation", "invalid_input")
    assert body["message"] == "Name is required when not using actor_ids."


@requirement("WIRE-025")
async def test_empty_key_counts_as_absent(conform):
    """An empty key lists by name alone."""
    [actor_id] = await created(conform, 1)
    assert actor_id in await ids_of(conform, name="counter", key="")


@requirement("WIRE-066")
async def test_unknown_ids_are_missing(conform):
    """An id that was never created is left out."""
    [actor_id] = await created(conform, 1)
    assert await ids_of(conform, actor_ids=f"{actor_id},{new_id()}") == [actor_id]


@requirement("WIRE-065")
async def test_destroyed_actors_are_found_by_id(conform, boundary):
    """A lookup by id returns a destroyed actor with its time of destruction."""
    actor_id = await boundary.destroy(conform.get_or_create("destroyActor"), via="api")
    [actor] = (await listed(conform, actor_ids=actor_id)).json()["actors"]
    assert actor["actor_id"] == actor_id and actor["destroy_ts"] is not None


@requirement("WIRE-067")
async def test_lookup_of_a_missing_key(conform):
    """A key nobody has is an empty list."""
    assert await ids_of(conform, name="counter", key=conform.unique_key()[0]) == []


@requirement("WIRE-068")
async def test_newest_first(conform):
    """A lookup by name lists the newest actors first."""
    ids = await created(conform, 3)
    found = [actor_id for actor_id in await ids_of(conform, name="counter", limit="50") if actor_id in ids]
    actors = (await listed(conform, name="counter", limit="50")).json()["actors"]
    stamps = [actor["create_ts"] for actor in actors]
    assert sorted(found) == sorted(ids)
    assert stamps == sorted(stamps, reverse=True)


@requirement("WIRE-069")
@pytest.mark.parametrize("limit", [0, 1, 2])
async def test_limit(conform, limit):
    """A limit bounds the answer; 0 is an empty list."""
    await created(conform, 3)
    assert len(await ids_of(conform, name="counter", limit=str(limit))) == limit


@requirement("WIRE-070")
async def test_cursor(conform):
    """The cursor is the creation time of the last actor, null when there is none."""
    await created(conform, 2)
    body = (await listed(conform, name="counter", limit="1")).json()
    assert body["pagination"]["cursor"] == str(body["actors"][0]["create_ts"])
    empty = (await listed(conform, name="counter", limit="0")).json()
    assert empty["pagination"]["cursor"] is None


@requirement("WIRE-124")
async def test_unknown_pool_has_no_config(conform):
    """Asking for the configuration of an unknown pool answers with nothing."""
    headers = {"authorization": f"Bearer {conform.token}"} if conform.token else {}
    params = {"namespace": conform.namespace, "runner_name": "no-such-pool"}
    response = await conform.http.get("/runner-configs", params=params, headers=headers)
    assert response.status_code == 200 and response.json()["runner_configs"] == {}


@requirement("WIRE-087")
async def test_unknown_pool_is_refused(conform):
    """An actor cannot be created in a pool that has no configuration."""
    headers = {"authorization": f"Bearer {conform.token}"} if conform.token else {}
    body = {"name": "counter", "key": conform.unique_key()[0], "runner_name_selector": "no-such-pool", "crash_policy": "sleep"}
    response = await conform.http.put("/actors", params={"namespace": conform.namespace}, json=body, headers=headers)
    assert response.status_code == 400
    assert (response.json()["group"], response.json()["code"]) == ("actor", "no_runner_config_configured")


@requirement("WIRE-174")
@pytest.mark.parametrize("policy", ["restart", "sleep", "destroy"])
async def test_crash_policies_are_accepted(conform, policy):
    """Each crash policy is accepted; what a crash does is the same for all."""
    headers = {"authorization": f"Bearer {conform.token}"} if conform.token else {}
    body = {"name": "counter", "key": conform.unique_key()[0], "runner_name_selector": conform.pool, "crash_policy": policy}
    response = await conform.http.put("/actors", params={"namespace": conform.namespace}, json=body, headers=headers)
    assert response.status_code == 200, response.text
    assert response.json()["created"] is True
    assert await conform.get_or_create("counter").action("increment", 2) == 2
