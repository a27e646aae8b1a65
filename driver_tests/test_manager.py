"""Suite manager: the REST API of the manager, handles, ids and keys."""

from __future__ import annotations

import asyncio
import base64
import re

import pytest

from harness import any_encoding, capability, encodings, requirement, suite
from harness.testing.codecs import encode_input, new_id

pytestmark = [suite("manager"), any_encoding]

ID = re.compile(r"^[0-9a-z]{30}$")
FIELDS = {
    "actor_id", "name", "key", "namespace_id", "datacenter", "runner_name_selector", "crash_policy", "create_ts", "start_ts",
    "pending_allocation_ts", "connectable_ts", "sleep_ts", "reschedule_ts", "destroy_ts",
}  # fmt: skip


async def call(conform, method, path, *, query=None, json=None, content=None, headers=None, scoped=True):
    """One REST call; `scoped` adds the namespace."""
    params = {**({"namespace": conform.namespace} if scoped else {}), **(query or {})}
    auth = {"authorization": f"Bearer {conform.token}"} if conform.token else {}
    return await conform.http.request(method, path, params=params, json=json, content=content, headers={**auth, **(headers or {})})


def creation(conform, name="counter", **members):
    """The body of a create call."""
    key = conform.unique_key()[0]
    return {"name": name, "key": key, "runner_name_selector": conform.pool, "crash_policy": "sleep", **members}


def check_error(response, status, group, code):
    """The response is that structured error; returns its body."""
    assert response.status_code == status, response.text
    body = response.json()
    assert (body["group"], body["code"]) == (group, code), body
    assert response.headers["content-type"].startswith("application/json")
    return body


@requirement("WIRE-050")
async def test_health_answers(conform):
    """GET /health answers ok with runtime and version."""
    response = await conform.http.get("/health")
    assert response.status_code == 200
    body = response.json()
    assert body["status"] == "ok"
    assert isinstance(body["runtime"], str)
    assert isinstance(body["version"], str)


@requirement("WIRE-051")
async def test_health_answers_head(conform):
    """HEAD /health answers without a body."""
    response = await conform.http.head("/health")
    assert response.status_code == 200
    assert response.content == b""


@requirement("WIRE-053", "WIRE-054")
async def test_metadata_names_the_runtime(conform):
    """GET /metadata answers runtime and version, with the namespace attached or not."""
    for scoped in (True, False):
        response = await call(conform, "GET", "/metadata", scoped=scoped)
        assert response.status_code == 200
        assert isinstance(response.json()["runtime"], str)
        assert isinstance(response.json()["version"], str)


@requirement("WIRE-004")
async def test_every_response_has_a_fresh_ray(conform):
    """Each response carries a ray id of its own, errors included."""
    rays = [(await conform.http.get(path)).headers["x-rivet-ray-id"] for path in ("/health", "/health", "/no-such-path")]
    assert len(set(rays)) == 3
    assert [ray for ray in rays if not ID.match(ray)] == []


@requirement("WIRE-020")
async def test_unknown_path_is_not_found(conform):
    """An unknown path is api.not_found."""
    for path in ("/no-such-path", "/actors/", "/healthz"):
        check_error(await call(conform, "GET", path), 404, "api", "not_found")


@requirement("WIRE-021")
async def test_unsupported_method_is_refused(conform):
    """A known path with another method is 405 without a body."""
    actor_id = await conform.get_or_create("counter").resolve()
    for method, path in (("GET", f"/actors/{actor_id}"), ("PATCH", "/actors"), ("DELETE", "/namespaces")):
        response = await call(conform, method, path)
        assert response.status_code == 405, (method, path)
        assert response.content == b""


@requirement("WIRE-022", "WIRE-024")
async def test_namespace_is_required(conform):
    """Endpoints of a namespace refuse a call without one."""
    for method, path in (("GET", "/actors"), ("GET", "/actors/names"), ("GET", "/envoys"), ("GET", "/runner-configs")):
        check_error(await call(conform, method, path, scoped=False), 400, "api", "bad_request")


@requirement("WIRE-023")
async def test_unknown_namespace_is_refused(conform):
    """An unknown namespace is namespace.not_found."""
    response = await call(conform, "GET", "/actors", query={"namespace": "no-such-namespace", "name": "counter"}, scoped=False)
    body = check_error(response, 400, "namespace", "not_found")
    assert body["message"] == "The namespace does not exist."


@requirement("WIRE-024")
async def test_unknown_query_parameter_is_refused(conform):
    """Unknown parameters are refused where a namespace is required."""
    check_error(await call(conform, "GET", "/actors", query={"name": "counter", "bogus": "1"}), 400, "api", "bad_request")


@requirement("WIRE-024")
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null"], ids=["empty", "truncated", "list", "null"])
async def test_malformed_create_body_is_refused(conform, content):
    """A body that is no JSON object is refused and the manager goes on."""
    response = await call(conform, "PUT", "/actors", content=content, headers={"content-type": "application/json"})
    body = check_error(response, 400, "api", "bad_request")
    assert body["message"].startswith("Request is invalid: ")
    assert body["metadata"]["reason"]
    assert (await conform.http.get("/health")).status_code == 200


@requirement("WIRE-024")
async def test_create_body_members_are_checked(conform):
    """Missing and unknown members, a bad policy, and another content type are refused."""
    good = creation(conform)
    for bad in ({**good, "bogus": 1}, {**good, "crash_policy": "explode"}, {k: v for k, v in good.items() if k != "name"}):
        check_error(await call(conform, "PUT", "/actors", json=bad), 400, "api", "bad_request")
    response = await call(conform, "PUT", "/actors", content=b"{}", headers={"content-type": "text/plain"})
    check_error(response, 400, "api", "bad_request")


@requirement("WIRE-040", "WIRE-043", "WIRE-150")
async def test_created_actor_has_every_field(conform):
    """A created actor is described completely, before it has started."""
    body = creation(conform)
    response = await call(conform, "POST", "/actors", json=body)
    assert response.status_code == 200, response.text
    actor = response.json()["actor"]
    assert actor.keys() >= FIELDS
    assert "error" not in actor
    assert ID.match(actor["actor_id"])
    assert (actor["name"], actor["key"]) == ("counter", body["key"])
    assert (actor["runner_name_selector"], actor["crash_policy"]) == (conform.pool, "sleep")
    assert actor["create_ts"] > 0
    assert actor["destroy_ts"] is None


@requirement("START-020", "WIRE-043")
async def test_created_actor_starts_by_itself(conform, eventually):
    """Creating is enough: the actor becomes connectable without traffic."""
    created = (await call(conform, "POST", "/actors", json=creation(conform))).json()["actor"]
    record = await eventually(
        lambda: conform.rest.get_actor(created["actor_id"]),
        until=lambda found: found and found["connectable_ts"] is not None,
        what="the actor to become connectable",
    )
    assert record["start_ts"] >= record["create_ts"]


@requirement("WIRE-080", "WIRE-081")
async def test_get_or_create_creates_once(conform):
    """The first PUT creates, the second finds."""
    body = creation(conform)
    first = (await call(conform, "PUT", "/actors", json=body)).json()
    second = (await call(conform, "PUT", "/actors", json=body)).json()
    assert (first["created"], second["created"]) == (True, False)
    assert first["actor"]["actor_id"] == second["actor"]["actor_id"]


@requirement("WIRE-090")
async def test_concurrent_get_or_create_makes_one_actor(conform):
    """Parallel callers on a fresh key end up with one live actor."""
    body = creation(conform)
    responses = await asyncio.gather(*(call(conform, "PUT", "/actors", json=body) for _ in range(8)))
    found = [response.json() for response in responses if response.status_code == 200]
    assert found, [response.text for response in responses]
    assert sum(item["created"] for item in found) <= 1
    listed = (await conform.rest.list_actors(name="counter", key=[body["key"]]))["actors"]
    assert len(listed) == 1
    assert {item["actor"]["actor_id"] for item in found} == {listed[0]["actor_id"]}


@requirement("WIRE-083")
async def test_create_refuses_a_taken_key(conform):
    """POST with the key of a live actor names that actor."""
    body = creation(conform)
    existing = (await call(conform, "POST", "/actors", json=body)).json()["actor"]["actor_id"]
    error = check_error(await call(conform, "POST", "/actors", json=body), 400, "actor", "duplicate_key")
    assert error["message"] == f"Actor key '{body['key']}' already in use for actor '{existing}'"
    assert error["metadata"] == {"existing_actor_id": existing, "key": body["key"]}


@requirement("WIRE-084")
async def test_actors_without_a_key(conform):
    """POST without a key always creates, and the key is null."""
    body = {name: value for name, value in creation(conform).items() if name != "key"}
    first = (await call(conform, "POST", "/actors", json=body)).json()["actor"]
    second = (await call(conform, "POST", "/actors", json=body)).json()["actor"]
    assert first["key"] is None
    assert first["actor_id"] != second["actor_id"]


@requirement("WIRE-085")
async def test_empty_key_is_refused(conform):
    """An empty key string is actor.empty_key."""
    body = check_error(await call(conform, "PUT", "/actors", json=creation(conform, key="")), 400, "actor", "empty_key")
    assert body["message"] == "Key label cannot be empty."


@requirement("WIRE-086")
async def test_key_length_limit(conform):
    """1024 bytes are accepted, one more is not."""
    prefix = conform.unique_key()[0]
    fits = prefix + "x" * (1024 - len(prefix))
    assert (await call(conform, "PUT", "/actors", json=creation(conform, key=fits))).status_code == 200
    body = check_error(await call(conform, "PUT", "/actors", json=creation(conform, key=fits + "y")), 400, "actor", "key_too_large")
    assert body["metadata"] == {"max_size": 1024, "key_preview": fits}


@requirement("WIRE-088")
async def test_unknown_datacenter_is_refused(conform):
    """A datacenter that does not exist is refused."""
    check_error(await call(conform, "PUT", "/actors", json=creation(conform, datacenter="moon")), 400, "datacenter", "not_found")


@requirement("WIRE-089", "WIRE-205")
async def test_unregistered_name_is_accepted_and_fails_at_start(conform, eventually):
    """Creation does not check the name; the start fails and the record says so."""
    created = (await call(conform, "PUT", "/actors", json=creation(conform, name="noSuchActor"))).json()["actor"]
    record = await eventually(
        lambda: conform.rest.get_actor(created["actor_id"]), until=lambda found: bool(found.get("error")), timeout=20, what="the crash"
    )
    assert record["start_ts"] is None


@requirement("WIRE-170", "WIRE-173")
@encodings("json", "cbor", "bare")
async def test_input_is_base64_of_cbor(conform):
    """Creation input travels as base64 of CBOR."""
    value = {"a": [1, "two", None]}
    body = creation(conform, name="inputActor", input=base64.b64encode(encode_input(value)).decode())
    created = (await call(conform, "POST", "/actors", json=body)).json()["actor"]
    inputs = await conform.get_for_id("inputActor", created["actor_id"]).action("getInputs")
    assert inputs["initialInput"] == value


@requirement("WIRE-060", "WIRE-066")
async def test_list_by_ids(conform):
    """Actors are listed by id; what does not parse as an id is dropped."""
    ids = [await conform.get_or_create("counter", conform.unique_key()).resolve() for _ in range(2)]
    found = await conform.rest.list_actors(actor_ids=[*ids, "garbage"])
    assert sorted(actor["actor_id"] for actor in found["actors"]) == sorted(ids)


@requirement("WIRE-060", "WIRE-024")
async def test_malformed_actor_id_parameter_is_refused(conform):
    """The repeatable form does not drop malformed ids."""
    check_error(await call(conform, "GET", "/actors", query={"actor_id": "garbage"}), 400, "api", "bad_request")


@requirement("WIRE-061")
async def test_too_many_ids_are_refused(conform):
    """More than 32 ids are refused with the count."""
    actor_id = await conform.get_or_create("counter").resolve()
    response = await call(conform, "GET", "/actors", query={"actor_ids": ",".join([actor_id] * 33)})
    body = check_error(response, 400, "validation", "too_many_actor_ids")
    assert body["metadata"] == {"max": 32, "count": 33}


@requirement("WIRE-062")
async def test_ids_and_name_exclude_each_other(conform):
    """Ids together with a name are refused."""
    actor_id = await conform.get_or_create("counter").resolve()
    response = await call(conform, "GET", "/actors", query={"actor_ids": actor_id, "name": "counter"})
    check_error(response, 400, "validation", "invalid_input")


@requirement("WIRE-063", "WIRE-067")
async def test_lookup_by_key(conform):
    """A lookup by name and key finds the live actor, or nothing."""
    actor_id = await conform.get_or_create("counter").resolve()
    found = await conform.rest.list_actors(name="counter", key=conform.key)
    assert [actor["actor_id"] for actor in found["actors"]] == [actor_id]
    assert (await conform.rest.list_actors(name="counter", key=conform.unique_key()))["actors"] == []


@requirement("WIRE-101", "WIRE-208", "DESTROY-004")
@encodings("json", "cbor", "bare")
async def test_delete_is_idempotent(conform, expect_error):
    """Deleting twice answers 200 both times, and the id is gone."""
    actor = conform.get_or_create("counter")
    await actor.action("increment", 1)
    actor_id = await actor.resolve()
    for _ in range(2):
        response = await call(conform, "DELETE", f"/actors/{actor_id}")
        assert response.status_code == 200
        assert response.json() == {}
    async with expect_error("actor", "not_found"):
        await conform.get_for_id("counter", actor_id).action("getCount")


@requirement("WIRE-102")
async def test_unknown_actor_id_is_not_found(conform):
    """Delete and sleep of an unknown id are 400 actor.not_found."""
    unknown = new_id()
    check_error(await call(conform, "DELETE", f"/actors/{unknown}"), 400, "actor", "not_found")
    check_error(await call(conform, "POST", f"/actors/{unknown}/sleep", json={}), 400, "actor", "not_found")


@requirement("WIRE-024")
async def test_malformed_actor_id_is_refused(conform):
    """A malformed id in a REST path is a bad request."""
    check_error(await call(conform, "DELETE", "/actors/not-an-id"), 400, "api", "bad_request")


@requirement("WIRE-103", "WIRE-104", "SLEEP-025")
@encodings("json", "cbor", "bare")
async def test_sleep_call_answers_at_once(conform, boundary):
    """The sleep call needs an object body and answers immediately."""
    actor = conform.get_or_create("counter")
    await actor.action("increment", 1)
    actor_id = await actor.resolve()
    check_error(await call(conform, "POST", f"/actors/{actor_id}/sleep", content=b""), 400, "api", "bad_request")
    response = await call(conform, "POST", f"/actors/{actor_id}/sleep", json={})
    assert (response.status_code, response.json()) == (200, {})
    record = await boundary.wait_asleep(actor_id)
    assert record["connectable_ts"] is None


@requirement("SLEEP-025", "STOP-002")
@encodings("json", "cbor", "bare")
async def test_reschedule_starts_the_next_generation_by_itself(conform, eventually, clock):
    """A rescheduled actor sleeps and wakes without traffic."""
    actor = conform.get_or_create("sleep")
    assert await actor.action("getCounts") == {"startCount": 1, "sleepCount": 0}
    actor_id = await actor.resolve()
    before = (await conform.rest.get_actor(actor_id))["connectable_ts"]
    await clock.sleep(0.01)  # so that the two starts cannot carry the same timestamp
    await conform.rest.reschedule_actor(actor_id)
    await eventually(
        lambda: conform.rest.get_actor(actor_id),
        until=lambda record: (record["connectable_ts"] or 0) > before,
        what="the next generation to become connectable",
    )
    counts = await eventually(
        lambda: conform.get_or_create("sleep").action("getCounts"), until=lambda c: c["startCount"] == 2, what="the second generation"
    )
    assert counts == {"startCount": 2, "sleepCount": 1}


@requirement("WIRE-110")
async def test_registered_names_are_listed(conform):
    """Every registered actor name is listed, in order, page by page."""
    names, cursor = [], None
    while True:
        page = await conform.rest.actor_names(limit=20, cursor=cursor)
        names += list(page["names"])
        cursor = page["pagination"].get("cursor")
        if not page["names"] or cursor is None:
            break
    # No test makes an actor of the last one: it is there because it is registered.
    assert {"counter", "sleep", "warmupActor"} <= set(names)
    assert len(names) == len(set(names))


@requirement("WIRE-112", "WIRE-113", "INSP-012")
@encodings("json", "cbor", "bare")
async def test_inspector_token_is_readable_by_the_operator(conform):
    """The token mirror is readable once the actor started; other keys do not exist."""
    actor = conform.get_or_create("counter")
    await actor.action("getCount")
    actor_id = await actor.resolve()
    other = base64.b64encode(b"other").decode()
    check_error(await call(conform, "GET", f"/actors/{actor_id}/kv/keys/{other.replace('=', '%3D')}"), 400, "actor", "kv_key_not_found")


@requirement("WIRE-120", "WIRE-122")
async def test_default_namespace_exists(conform):
    """A namespace `default` exists, and a name filter gives one entry and no cursor."""
    response = await call(conform, "GET", "/namespaces", query={"name": "default"}, scoped=False)
    body = response.json()
    assert [item["name"] for item in body["namespaces"]] == ["default"]
    assert body["namespaces"][0].keys() >= {"namespace_id", "name", "display_name", "create_ts"}
    assert body["pagination"]["cursor"] is None


@requirement("WIRE-121")
@capability("namespaces")
async def test_namespace_names_are_checked(conform):
    """Bad names are refused with their reason."""
    for name, reason in (("", "name too short"), ("x" * 65, "name too long"), ("Bad_Name", "invalid name"), ("-x", "invalid name")):
        response = await call(conform, "POST", "/namespaces", json={"name": name, "display_name": "x"}, scoped=False)
        body = check_error(response, 400, "namespace", "failed_to_create")
        assert body["metadata"] == {"reason": reason}
    response = await call(conform, "POST", "/namespaces", json={"name": "default", "display_name": "x"}, scoped=False)
    check_error(response, 400, "namespace", "name_not_unique")


@requirement("WIRE-125")
async def test_pool_has_an_envoy(conform):
    """The pool that hosts the fixtures lists at least one envoy; an unknown pool none."""
    envoys = await conform.rest.envoys(conform.pool)
    assert envoys
    assert envoys[0].keys() >= {"envoy_key", "namespace_id", "datacenter", "pool_name", "version", "create_ts"}


@requirement("WIRE-126")
async def test_datacenters_are_listed(conform):
    """At least one datacenter is listed; unknown parameters are ignored there."""
    response = await call(conform, "GET", "/datacenters", query={"bogus": "1"}, scoped=False)
    assert response.status_code == 200
    assert response.json()["datacenters"][0].keys() >= {"label", "name", "url"}


@requirement("WIRE-911")
async def test_get_handle_of_a_missing_key(conform, expect_error):
    """A get handle of a key nobody holds fails with actor.not_found."""
    async with expect_error("actor", "not_found"):
        await conform.get("counter", conform.unique_key()).resolve()


@requirement("WIRE-911", "WIRE-919")
@encodings("json", "cbor", "bare")
async def test_handles_of_every_kind_reach_the_actor(conform):
    """create, get, get-or-create and by id all reach one actor."""
    created = await conform.create("counter")
    assert await created.action("increment", 1) == 1
    assert await conform.get("counter").action("increment", 1) == 2
    assert await conform.get_or_create("counter").action("increment", 1) == 3
    actor_id = await created.resolve()
    assert await conform.get_for_id("counter", actor_id).action("increment", 1) == 4


@requirement("WIRE-083")
async def test_create_of_a_taken_key_fails(conform, expect_error):
    """An explicit create refuses a key that is in use."""
    await conform.create("counter")
    async with expect_error("actor", "duplicate_key"):
        await conform.create("counter")


@requirement("WIRE-082", "WIRE-041", "WIRE-065")
@encodings("json", "cbor", "bare")
async def test_destroyed_actor_is_listed_only_on_request(conform, boundary):
    """A destroyed actor is listed only when destroyed ones are asked for."""
    actor = conform.get_or_create("counter")
    await actor.action("increment", 1)
    old = await boundary.destroy(actor, via="api")
    assert (await conform.rest.list_actors(name="counter", key=conform.key))["actors"] == []
    listed = (await conform.rest.list_actors(name="counter", key=conform.key, include_destroyed=True))["actors"]
    assert [record["actor_id"] for record in listed] == [old]
    assert listed[0]["destroy_ts"] is not None
