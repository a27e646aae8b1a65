"""Suite manager-requests: what the manager takes as a request and what it refuses: paths, methods, parameters, bodies, origins."""

from __future__ import annotations

import json

import pytest

from driver_tests.managing import RAY, call, created, creation, refused
from harness import any_encoding, capability, requirement, suite
from harness.testing.codecs import new_id

pytestmark = [suite("manager-requests"), any_encoding]

LIMIT = 2 * 1024 * 1024
UNKNOWN_ID = new_id()
NO_NAMESPACE = "The namespace does not exist."
SCOPED = {
    "list": ("GET", "/actors", {"name": "counter"}, None),
    "put": ("PUT", "/actors", {}, creation),
    "post": ("POST", "/actors", {}, creation),
    "delete": ("DELETE", "/actors/{id}", {}, None),
    "sleep": ("POST", "/actors/{id}/sleep", {}, dict),
    "reschedule": ("POST", "/actors/{id}/reschedule", {}, dict),
    "names": ("GET", "/actors/names", {}, None),
    "kv": ("GET", "/actors/{id}/kv/keys/Aw%3D%3D", {}, None),
    "envoys": ("GET", "/envoys", {}, None),
    "runners": ("GET", "/runners", {}, None),
    "configs": ("GET", "/runner-configs", {}, None),
}
"""Endpoints of a namespace: method, path, query, maker of the body."""


async def ask(conform, name, actor_id, *, query=None, scoped=True):
    """One of `SCOPED`."""
    method, path, given, make = SCOPED[name]
    body = None if make is None else make(conform) if make is creation else make()
    options = {} if body is None else {"json": body}
    return await call(conform, method, path.format(id=actor_id), query={**given, **(query or {})}, scoped=scoped, **options)


@requirement("WIRE-020")
@pytest.mark.parametrize("path", ["/actors/", "/Actors", "/actorss", "/actors/names/", "/health/", "/healthz", "/namespaces/x/y"])
async def test_paths_are_exact(conform, path):
    """A path that only resembles one is not found."""
    refused(await call(conform, "GET", path), 404, "api.not_found", "The requested resource was not found")


@requirement("WIRE-021", "WIRE-004")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/actors/{id}"), ("PUT", "/actors/{id}"), ("PATCH", "/actors"), ("DELETE", "/actors"), ("DELETE", "/namespaces"),
        ("POST", "/health"), ("GET", "/actors/{id}/sleep"), ("POST", "/envoys"), ("PATCH", "/runner-configs/x"),
    ],
)  # fmt: skip
async def test_other_methods_have_no_body(conform, method, path):
    """A known path with another method is 405, without a body, with a ray."""
    actor_id = (await created(conform))["actor_id"]
    response = await call(conform, method, path.format(id=actor_id), scoped=path != "/health")
    assert (response.status_code, response.content) == (405, b"")
    assert RAY.fullmatch(response.headers["x-rivet-ray-id"])


@requirement("WIRE-022", "WIRE-024")
@pytest.mark.parametrize("name", SCOPED)
async def test_the_namespace_is_named_in_each_call(conform, name):
    """Without one the call is refused, and nothing happens."""
    actor_id = (await created(conform))["actor_id"]
    refused(await ask(conform, name, actor_id, scoped=False), 400, "api.bad_request")
    assert (await conform.rest.get_actor(actor_id))["destroy_ts"] is None


@requirement("WIRE-022", "WIRE-023")
@pytest.mark.parametrize("name", SCOPED)
async def test_a_namespace_that_does_not_exist(conform, name):
    """An unknown name is refused, and so is the id of a namespace in its place."""
    [namespace] = (await call(conform, "GET", "/namespaces", query={"name": conform.namespace}, scoped=False)).json()["namespaces"]
    actor_id = (await created(conform))["actor_id"]
    for given in ("no-such-namespace", namespace["namespace_id"]):
        response = await ask(conform, name, actor_id, query={"namespace": given}, scoped=False)
        refused(response, 400, "namespace.not_found", NO_NAMESPACE)


@requirement("WIRE-024")
@pytest.mark.parametrize("name", SCOPED)
async def test_unknown_parameters(conform, name):
    """Endpoints of a namespace take no parameters that they do not know."""
    actor_id = (await created(conform))["actor_id"]
    refused(await ask(conform, name, actor_id, query={"bogus": "1"}), 400, "api.bad_request")
    assert (await conform.rest.get_actor(actor_id))["destroy_ts"] is None


@requirement("WIRE-054", "WIRE-126")
@pytest.mark.parametrize("path", ["/metadata", "/datacenters"])
async def test_endpoints_that_take_any_parameter(conform, path):
    """Where no namespace belongs one may be named, and anything else."""
    plain = await call(conform, "GET", path, scoped=False)
    answer = await call(conform, "GET", path, query={"bogus": "1"})
    assert (answer.status_code, answer.json()) == (200, plain.json())


@requirement("WIRE-024")
@pytest.mark.parametrize(
    "query",
    [{"limit": "x"}, {"limit": "-1"}, {"limit": "1.5"}, {"include_destroyed": "1"}, {"include_destroyed": "yes"}],
    ids=["word", "negative", "fraction", "one", "yes"],
)
async def test_values_of_another_type(conform, query):
    """A number is a whole one that is not negative, a flag `true` or `false`."""
    refused(await call(conform, "GET", "/actors", query={"name": "counter", **query}), 400, "api.bad_request")


@requirement("WIRE-024")
@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_members_of_a_creation(conform, method):
    """A member that is missing, unknown or of another type is refused and creates nothing."""
    good = creation(conform)
    lacking = [{name: value for name, value in good.items() if name != gone} for gone in ("name", "runner_name_selector", "crash_policy")]
    if method == "PUT":
        lacking += [{name: value for name, value in good.items() if name != "key"}, {**good, "key": None}]
    wrong = [
        {**good, **one}
        for one in (
            {"bogus": 1}, {"crash_policy": "Sleep"}, {"crash_policy": ""}, {"crash_policy": None}, {"name": None}, {"name": 1}, {"key": 1},
            {"key": ["a"]}, {"input": 1}, {"runner_name_selector": None}, {"datacenter": 1},
        )
    ]  # fmt: skip
    for body in [*lacking, *wrong]:
        refused(await call(conform, method, "/actors", json=body), 400, "api.bad_request")
    assert (await call(conform, "GET", "/actors", query={"name": "counter", "key": good["key"]})).json()["actors"] == []


@requirement("WIRE-024")
@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
async def test_content_types_of_a_body(conform, method, content_type):
    """A body says that it is JSON; one that does not is refused, with its content as it should be."""
    headers = {} if content_type is None else {"content-type": content_type}
    body = creation(conform)
    response = await call(conform, method, "/actors", content=json.dumps(body).encode(), headers=headers)
    refused(response, 400, "api.bad_request")
    good = await call(conform, method, "/actors", content=json.dumps(body).encode(), headers={"content-type": "application/json"})
    assert (good.status_code, good.json()["actor"]["key"]) == (200, body["key"])


@requirement("WIRE-024", "WIRE-104")
@pytest.mark.parametrize("order", ["sleep", "reschedule"])
async def test_bodies_of_orders(conform, order):
    """To sleep and to reschedule take an object, however empty, and nothing else."""
    actor = await created(conform)
    path, headers = f"/actors/{actor['actor_id']}/{order}", {"content-type": "application/json"}
    for content in (b"", b"null", b'"x"', b"{"):
        refused(await call(conform, "POST", path, content=content, headers=headers), 400, "api.bad_request")
    refused(await call(conform, "POST", path, content=b"{}"), 400, "api.bad_request")
    response = await call(conform, "POST", path, json={})
    assert (response.status_code, response.json()) == (200, {})


@requirement("WIRE-024", "WIRE-981")
@pytest.mark.parametrize("surplus", [0, 1])
async def test_size_of_a_body(conform, surplus):
    """Two MiB are a body, one byte more is not."""
    text = json.dumps(creation(conform)).encode()
    response = await call(
        conform, "PUT", "/actors", content=text.ljust(LIMIT + surplus), headers={"content-type": "application/json"}
    )  # fmt: skip
    if surplus:
        refused(response, 400, "api.bad_request")
    else:
        assert (response.status_code, response.json()["created"]) == (200, True)


@requirement("WIRE-024", "WIRE-060")
@pytest.mark.parametrize("text", ["garbage", "0" * 30, "z" * 30, "1" * 29, "1" * 31, "%C3%A9" * 30])
async def test_malformed_ids(conform, text):
    """What is no id is refused in a path and in the repeatable parameter, and overlooked in the list of ids."""
    actor = await created(conform)
    for method, path, options in (("DELETE", "", {}), ("POST", "/sleep", {"json": {}}), ("GET", "/kv/keys/Aw==", {})):
        refused(await call(conform, method, f"/actors/{text}{path}", **options), 400, "api.bad_request")
    response = await call(conform, "GET", "/actors", query={"actor_id": [actor["actor_id"], text]})
    refused(response, 400, "api.bad_request")
    found = await call(conform, "GET", "/actors", query={"actor_ids": f"{text},{actor['actor_id']},"})
    assert [one["actor_id"] for one in found.json()["actors"]] == [actor["actor_id"]]


@requirement("WIRE-025", "WIRE-064", "WIRE-063", "WIRE-062")
async def test_empty_parameters_are_absent(conform):
    """An empty key, name or list of ids is as if it were not there."""
    actor = await created(conform)
    no_filter = "Name is required when not using actor_ids."
    for query in ({"name": "", "key": ""}, {"key": ""}, {"actor_ids": ","}, {"actor_ids": "x,y"}):
        answer = await call(conform, "GET", "/actors", query=query)
        refused(answer, 400, "validation.invalid_input", no_filter, {"message": no_filter})
    found = await call(conform, "GET", "/actors", query={"actor_ids": actor["actor_id"], "name": "", "key": ""})
    assert [one["actor_id"] for one in found.json()["actors"]] == [actor["actor_id"]]
    no_name = "Name is required when key is provided."
    refused(await call(conform, "GET", "/actors", query={"key": "x"}), 400, "validation.invalid_input", no_name, {"message": no_name})


@requirement("WIRE-062")
@pytest.mark.parametrize("also", [{"name": "counter"}, {"key": "x"}, {"name": "counter", "key": "x"}], ids=["name", "key", "both"])
@pytest.mark.parametrize("form", ["actor_ids", "actor_id"])
async def test_ids_exclude_names(conform, form, also):
    """Ids with a name, a key or both are refused, in both forms."""
    actor = await created(conform)
    text = "Cannot provide both actor_id and (name + key). Use either actor_id or (name + key)."
    answer = await call(conform, "GET", "/actors", query={form: actor["actor_id"], **also})
    refused(answer, 400, "validation.invalid_input", text, {"message": text})


@requirement("WIRE-061", "WIRE-060", "WIRE-071")
async def test_number_of_ids(conform):
    """32 ids are looked up, 33 are too many, however they are given and even if all are the same; what is no id does not count."""
    actor_id = (await created(conform))["actor_id"]

    async def look(listed, repeated=0, garbage=0):
        query = {"actor_ids": ",".join([actor_id] * listed + ["x"] * garbage), "actor_id": [actor_id] * repeated}
        return await call(conform, "GET", "/actors", query=query)

    for listed, repeated, garbage in ((32, 0, 0), (0, 32, 0), (16, 16, 0), (32, 0, 5)):
        answer = await look(listed, repeated, garbage)
        assert [one["actor_id"] for one in answer.json()["actors"]] == [actor_id] * 32
    for listed, repeated, count in ((33, 0, 33), (0, 33, 33), (20, 20, 40)):
        text = f"Too many actor IDs provided. Maximum is 32, got {count}"
        refused(await look(listed, repeated), 400, "validation.too_many_actor_ids", text, {"max": 32, "count": count})


ALLOWED = [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
]


def allowed(response):
    """What an answer allows other origins."""
    return {name.removeprefix("access-control-allow-"): response.headers[name] for name in ALLOWED if name in response.headers}


def vary(response):
    """What an answer depends on."""
    return {part.strip().lower() for value in response.headers.get_list("vary") for part in value.split(",")}


@requirement("WIRE-030")
async def test_origins(conform):
    """Each answer to a request with an origin allows that origin, credentials and no more; without an origin none is allowed."""
    origin = "https://a.example"
    parts = {"origin", "access-control-request-method", "access-control-request-headers"}
    for method, path, status in (
        ("GET", "/datacenters", 200),
        ("GET", "/actors", 400),
        ("PATCH", "/actors", 405),
    ):
        answer = await call(conform, method, path, scoped=False, headers={"origin": origin})
        assert (answer.status_code, allowed(answer)) == (status, {"origin": origin, "credentials": "true"})
        assert vary(answer) == parts
        assert "origin" not in allowed(await call(conform, method, path, scoped=False))
    assert allowed(await call(conform, "GET", "/health", scoped=False, headers={"origin": origin})) == {}


@requirement("WIRE-030")
async def test_preflights(conform):
    """A preflight is 200 and allows the method and the headers that it asks for."""
    origin = "https://b.example"
    for method, wanted in (("DELETE", "x-one"), ("PUT", "x-one,x-two"), ("POST", None)):
        headers = {"origin": origin, "access-control-request-method": method}
        if wanted is not None:
            headers["access-control-request-headers"] = wanted
        answer = await call(conform, "OPTIONS", "/actors", scoped=False, headers=headers)
        found = allowed(answer)
        assert (answer.status_code, found.pop("headers", None)) == (200, wanted)
        assert found == {"origin": origin, "credentials": "true", "methods": method}


@requirement("WIRE-121", "WIRE-024")
@capability("namespaces")
async def test_members_of_a_namespace(conform):
    """Name and display name are both needed, as texts, and nothing else is taken."""
    for body in (
        {"name": "x"},
        {"display_name": "x"},
        {"name": 1, "display_name": "x"},
        {"name": "x", "display_name": "x", "bogus": 1},
        [],
    ):
        refused(await call(conform, "POST", "/namespaces", scoped=False, json=body), 400, "api.bad_request")


@requirement("WIRE-050", "WIRE-051", "WIRE-053")
async def test_what_the_process_says_of_itself(conform):
    """Health and metadata have these members and no other, and HEAD has the headers of GET."""
    health = await conform.http.get("/health")
    assert (health.status_code, health.json().keys()) == (200, {"runtime", "status", "version"})
    assert health.json()["status"] == "ok"
    head = await conform.http.head("/health")
    assert (head.status_code, head.content, head.headers["content-type"]) == (200, b"", health.headers["content-type"])
    metadata = (await conform.http.get("/metadata")).json()
    assert all(isinstance(metadata[name], str) and metadata[name] for name in ("runtime", "version"))
