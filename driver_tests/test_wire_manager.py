"""Suite wire-manager: one port for everything, statuses, CORS, pools, keys and generations as the manager shows them."""

from __future__ import annotations

import base64
import json

import pytest

from client.transport import Transport
from harness import any_encoding, capability, encodings, requirement, suite
from harness.testing.codecs import Encoding, ErrorFrame, decode_to_client, new_id

pytestmark = [suite("wire-manager"), any_encoding]

FOREIGN_ID = "1" + "0" * 29
"""An id of datacenter 0 (the vectors of WIRE-150)."""


async def call(conform, method, path, *, query=None, scoped=True, headers=None, **options):
    """One REST call; `scoped` adds the namespace."""
    params = {**({"namespace": conform.namespace} if scoped else {}), **(query or {})}
    auth = {"authorization": f"Bearer {conform.token}"} if conform.token else {}
    return await conform.http.request(method, path, params=params, headers={**auth, **(headers or {})}, **options)


def named(response):
    """Status and name of a structured error."""
    body = response.json()
    return response.status_code, f"{body['group']}.{body['code']}"


def creation(conform, **members):
    """The body of a create call."""
    return {"name": "counter", "key": conform.unique_key()[0], "runner_name_selector": conform.pool, "crash_policy": "sleep", **members}


@requirement("WIRE-001", "WIRE-002")
async def test_one_port_for_everything(conform):
    """REST, HTTP of an actor and its WebSockets are told apart by path and target, in that order."""
    actor_id = await conform.get_or_create("rawWebSocketActor").resolve()
    action = f"/gateway/{actor_id}/action/getStats"
    assert (await conform.http.get("/health")).json()["status"] == "ok"
    # A gateway path is no matter of the target header, which the REST API alone also accepts.
    for headers in ({}, {"x-rivet-target": "api-public"}):
        assert (await conform.http.post(action, content=b"{}", headers=headers)).json()["output"]["messageCount"] == 0
        assert "datacenters" in (await call(conform, "GET", "/datacenters", scoped=False, headers=headers)).json()
    transport = Transport(None)
    try:
        for path, entries in (
            (f"/gateway/{actor_id}/websocket/", ["rivet"]),
            (f"/gateway/{actor_id}/websocket/", ["rivet", "rivet_target.api-public"]),
            ("/websocket/", ["rivet", "rivet_target.actor", f"rivet_actor.{actor_id}"]),
        ):
            socket = await transport.open(conform.endpoint + path, entries, {})
            assert json.loads(await socket.receive())["type"] == "welcome"
            await socket.close()
        socket = await transport.open(f"{conform.endpoint}/websocket/", ["rivet", "rivet_target.api-public"], {})
        assert await socket.receive() is None
        assert socket.close_reason.startswith("core.internal_error#")
    finally:
        await transport.close()


@requirement("WIRE-007")
async def test_member_order_means_nothing(conform):
    """Bodies and frames are understood with their members in any order."""
    body = dict(reversed(creation(conform).items()))
    created = (await call(conform, "PUT", "/actors", json=body)).json()
    assert (created["created"], created["actor"]["key"]) == (True, body["key"])
    transport = Transport(None)
    try:
        url = f"{conform.endpoint}/gateway/{created['actor']['actor_id']}/connect"
        socket = await transport.open(url, ["rivet", "rivet_encoding.json"], {})
        await socket.receive()
        await socket.send('{"body":{"val":{"args":[4],"name":"increment","id":7},"tag":"ActionRequest"}}')
        assert json.loads(await socket.receive()) == {"body": {"tag": "ActionResponse", "val": {"id": ["$BigInt", "7"], "output": 4}}}
    finally:
        await transport.close()


@requirement("WIRE-026", "WIRE-070")
async def test_statuses(conform):
    """Unknown paths are 404, faults without a structure 500, every other error 400, an unknown actor included."""
    assert named(await call(conform, "GET", "/nothing")) == (404, "api.not_found")
    assert named(await call(conform, "DELETE", f"/actors/{new_id()}")) == (400, "actor.not_found")
    assert named(await call(conform, "GET", "/actors")) == (400, "validation.invalid_input")
    fault = await call(conform, "GET", "/actors", query={"name": "counter", "cursor": "x"})
    assert named(fault) == (500, "core.internal_error")
    assert fault.json()["message"] == "An internal error occurred"


@requirement("WIRE-027")
@pytest.mark.parametrize("given", [None, "Bearer anything", "Basic eDp5", ""], ids=["none", "bearer", "basic", "empty"])
async def test_open_manager_takes_any_authorization(conform, given):
    """Without an admin token the header plays no part, also at endpoints that would need it."""
    if conform.has("admin_token"):
        pytest.skip("the target has an admin token")
    headers = {} if given is None else {"authorization": given}
    actor_id = await conform.get_or_create("counter").resolve()
    scoped = {"namespace": conform.namespace}
    for path, params in (("/namespaces", {}), ("/actors", {**scoped, "name": "counter"}), ("/envoys", scoped), ("/actors/names", scoped)):
        assert (await conform.http.get(path, params=params, headers=headers)).status_code == 200, path
    deleted = await conform.http.delete(f"/actors/{actor_id}", params=scoped, headers=headers)
    assert (deleted.status_code, deleted.json()) == (200, {})


@requirement("WIRE-030")
async def test_rest_allows_the_callers_origin(conform):
    """Answers, errors and preflights of the REST API allow the caller's origin; without an origin and at /health nothing is said."""
    origin = {"origin": "https://a.example"}
    vary = {"origin", "access-control-request-method", "access-control-request-headers"}
    for path in ("/datacenters", "/actors"):
        headers = (await conform.http.get(path, headers=origin)).headers
        assert headers["access-control-allow-origin"] == "https://a.example"
        assert headers["access-control-allow-credentials"] == "true"
        assert {part.strip() for part in headers["vary"].split(",")} >= vary
    wanted = {"access-control-request-method": "PUT", "access-control-request-headers": "x-a,x-b"}
    preflight = await conform.http.options("/actors", headers={**origin, **wanted})
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "https://a.example"
    assert preflight.headers["access-control-allow-methods"] == "PUT"
    assert preflight.headers["access-control-allow-headers"].replace(" ", "") == "x-a,x-b"
    assert "access-control-allow-origin" not in (await conform.http.get("/health", headers=origin)).headers


@requirement("WIRE-071")
async def test_repeated_ids_repeat_the_actor(conform):
    """Every id asked for has an entry of its own."""
    actor_id = await conform.get_or_create("counter").resolve()
    found = (await call(conform, "GET", "/actors", query={"actor_ids": f"{actor_id},{actor_id}"})).json()["actors"]
    assert [actor["actor_id"] for actor in found] == [actor_id, actor_id]


@requirement("WIRE-111")
@encodings("json")
@capability("inspector")
async def test_key_values_travel_as_base64(conform):
    """The key is one escaped segment of base64; the value is base64, with the time of its last change."""
    actor = conform.get_or_create("counter")
    await actor.action("getCount")
    path = f"/actors/{await actor.resolve()}/kv/keys/"
    for escaped in ("Aw%3D%3D", "Aw=="):
        response = await conform.http.get(f"{path}{escaped}", params={"namespace": conform.namespace})
        if response.status_code == 200:
            body = response.json()
            assert len(base64.b64decode(body["value"], validate=True)) == 43
            assert isinstance(body["update_ts"], int)
        else:  # a target with one fixed token has none to show (INSP-017)
            assert named(response) == (400, "actor.kv_key_not_found")
    assert named(await conform.http.get(f"{path}%21%21", params={"namespace": conform.namespace})) == (500, "core.internal_error")


@requirement("WIRE-123", "WIRE-126", "WIRE-088")
@capability("namespaces")
async def test_pool_configurations(conform, eventually):
    """A configuration is written briefly and read completely; other shapes are refused, and what is left out of a write is removed."""
    name = conform.unique_key()[0].replace("_", "-").lower()[-40:].strip("-")
    assert (await call(conform, "POST", "/namespaces", json={"name": name, "display_name": "x"}, scoped=False)).status_code == 200
    [datacenter, *_] = (await call(conform, "GET", "/datacenters", scoped=False)).json()["datacenters"]
    scope = {"namespace": name}

    async def put(datacenters):
        return await call(conform, "PUT", "/runner-configs/mine", query=scope, scoped=False, json={"datacenters": datacenters})

    async def read():
        found = await call(conform, "GET", "/runner-configs", query={**scope, "runner_name": "mine"}, scoped=False)
        return found.json()["runner_configs"]

    written = await put({datacenter["name"]: {"normal": {}}})
    assert isinstance(written.json()["endpoint_config_changed"], bool)
    config = (await read())["mine"]["datacenters"][datacenter["name"]]
    normal = {"drain_on_version_upgrade": True, "actor_eviction_delay": 0, "actor_eviction_period": 0, "actor_eviction_rate": 1.0}
    assert config["normal"].items() >= normal.items()
    assert named(await put({datacenter["name"]: {}})) == (400, "api.bad_request")
    assert named(await put({"moon": {"normal": {}}})) == (400, "datacenter.not_found")
    assert (await put({})).status_code == 200
    await eventually(
        read, until=lambda found: datacenter["name"] not in found.get("mine", {"datacenters": {}})["datacenters"], what="the removal"
    )


@requirement("WIRE-127")
async def test_own_pool_is_configured(conform):
    """The pool of the runtime has a configuration in its namespace, and actors can be created in it."""
    found = (await call(conform, "GET", "/runner-configs", query={"runner_name": conform.pool})).json()["runner_configs"]
    assert found[conform.pool]["datacenters"]
    assert (await call(conform, "POST", "/actors", json=creation(conform))).status_code == 200


@requirement("WIRE-152")
async def test_ids_of_another_datacenter(conform):
    """The gateway does not look for actors of a datacenter it does not know."""
    response = await conform.http.post(f"/gateway/{FOREIGN_ID}/action/getCount", content=b"{}")
    assert named(response) == (400, "datacenter.not_found")


@requirement("WIRE-161", "WIRE-160")
@encodings("json")
@pytest.mark.parametrize(
    ("serialized", "parts"),
    [(r"/\0/b", ["", "b"]), (r"/a\\b", ["a\\b"]), (r"/a\/b/c", ["a/b", "c"]), (r"/x/\0", ["x", ""]), (r"/\\0", [r"\0"]), (r"/\q", ["q"])],
    ids=["empty", "backslash", "slash", "last-empty", "no-marker", "needless"],
)
async def test_keys_are_taken_apart(conform, serialized, parts):
    """An actor sees the parts of the key it was created with."""
    prefix = conform.unique_key()[0]
    created = (await call(conform, "PUT", "/actors", json=creation(conform, key=prefix + serialized))).json()["actor"]
    assert await conform.get_for_id("counter", created["actor_id"]).action("getKey") == [prefix, *parts]


@requirement("WIRE-163", "WIRE-254")
async def test_forms_of_the_key(conform):
    """Records, response headers and errors carry the serialized key; of the empty one headers and errors make the empty text."""
    prefix = conform.unique_key()[0]
    for parts, record_form, other_form in (([prefix, "a/b", ""], rf"{prefix}/a\/b/\0", rf"{prefix}/a\/b/\0"), ([], "/", "")):
        actor = conform.get_or_create("counter", parts)
        actor_id = await actor.resolve()
        assert (await conform.rest.get_actor(actor_id))["key"] == record_form
        response = await conform.http.post(f"/gateway/{actor_id}/action/nothing", content=b"{}")
        assert response.headers["x-rivet-actor-key"] == other_form
        assert response.json()["actor"]["key"] == other_form
        transport = Transport(None)
        try:
            socket = await transport.open(f"{conform.endpoint}/gateway/{actor_id}/connect", ["rivet", "rivet_encoding.json"], {})
            await socket.receive()
            await socket.send('{"body":{"tag":"ActionRequest","val":{"id":1,"name":"nothing","args":[]}}}')
            frame = decode_to_client(await socket.receive(), Encoding.JSON)
            assert isinstance(frame, ErrorFrame)
            assert frame.error.actor.key == other_form
        finally:
            await transport.close()


@requirement("WIRE-206", "WIRE-204")
async def test_failed_start_leaves_the_actor_asleep(conform, boundary):
    """After the retries the actor is asleep without ever having started; the next request begins anew."""
    created = (await call(conform, "PUT", "/actors", json=creation(conform, name="noSuchActor"))).json()["actor"]
    for _ in range(2):
        response = await conform.http.post(f"/gateway/{created['actor_id']}/action/x", content=b"{}", timeout=60)
        assert named(response) == (400, "guard.actor_wake_retries_exceeded")
        record = await boundary.wait_asleep(created["actor_id"])
        assert record["start_ts"] is None
        assert record["sleep_ts"] is not None


@requirement("WIRE-207", "WIRE-254")
async def test_generations_are_counted(conform, boundary):
    """The first generation is number 1; each start makes the next one."""
    generations = []
    for _ in range(3):
        actor = conform.get_or_create("counter")
        response = await conform.http.post(f"/gateway/{await actor.resolve()}/action/getCount", content=b"{}")
        generations.append(response.headers["x-rivet-actor-generation"])
        await boundary.sleep(actor, via="api")
    assert generations == ["1", "2", "3"]
