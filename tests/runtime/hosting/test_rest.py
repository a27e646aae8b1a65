"""The manager REST API over real sockets, with generations that only exist."""

import asyncio
import base64
import json

import cbor2
import pytest
from structlog.testing import capture_logs

from runtime import Actor, HostOptions, Options, Registry, clock
from runtime.hosting.standalone.rest.actors import BOTH_FILTERS
from runtime.logs import FAULTS
from tests.runtime.gateway.support import OPEN, error_of, exchange, serving

NS = {"namespace": "default"}


class Thing(Actor):
    name = "thing"
    options = Options(icon="bolt", display_name="A thing")


class Other(Actor):
    name = "other"


pytestmark = pytest.mark.usefixtures("fake")


@pytest.fixture
async def http():
    async with serving(Registry(Thing, Other), HostOptions(any_pool=True, **OPEN)) as client:
        yield client


def creation(key="k", **more):
    return {"name": "thing", "key": key, "runner_name_selector": "default", "crash_policy": "sleep", **more}


async def put(http, key="k", **more):
    response = await http.put("/actors", params=NS, json=creation(key, **more))
    assert response.status_code == 200, response.text
    return response.json()["actor"]


async def until(check):
    async with asyncio.timeout(5):
        while not (found := await check()):  # noqa: ASYNC110 - polls a server
            await asyncio.sleep(0.002)
    return found


async def fetched(http, actor_id):
    response = await http.get("/actors", params={**NS, "actor_ids": actor_id})
    return response.json()["actors"][0]


async def test_health_needs_nothing_and_head_has_no_body(http):
    response = await http.get("/health")
    assert response.status_code == 200
    assert response.json()["status"] == "ok"
    assert len(response.headers["x-rivet-ray-id"]) == 30
    assert "access-control-allow-origin" not in response.headers
    head = await http.head("/health")
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == response.headers["content-length"]


@pytest.mark.parametrize("path", ["/nope", "/actors/", "/actors/x/y", "//health", "/runner-configs", "/actors//sleep"])
async def test_unknown_paths(http, path):
    response = await http.get(f"http://127.0.0.1:{http.port}{path}")
    if path == "/runner-configs":
        assert error_of(response) == "api.bad_request"
    else:
        assert (response.status_code, error_of(response)) == (404, "api.not_found")
        assert response.json()["message"] == "The requested resource was not found"


async def test_a_wrong_method_is_405_without_body(http):
    actor = await put(http)
    for method, path in (("GET", f"/actors/{actor['actor_id']}"), ("PATCH", "/actors"), ("POST", "/health")):
        response = await http.request(method, path)
        assert (response.status_code, response.content) == (405, b"")


@pytest.mark.parametrize("path", ["/actors", "/actors/names", "/envoys", "/runners", "/runner-configs"])
async def test_namespace_is_required_and_must_exist(http, path):
    missing = await http.get(path, params={"name": "thing"} if path == "/actors" else None)
    assert (missing.status_code, error_of(missing)) == (400, "api.bad_request")
    unknown = await http.get(path, params={"namespace": "nope", **({"name": "thing"} if path == "/actors" else {})})
    assert (unknown.status_code, error_of(unknown)) == (400, "namespace.not_found")


@pytest.mark.parametrize(
    "params",
    [
        {"bogus": "1"}, {"limit": "x"}, {"limit": "-1"}, {"include_destroyed": "maybe"}, {"actor_id": "short"},
        {"actor_id": "0" * 30},
    ],
)  # fmt: skip
async def test_bad_query_parameters(http, params):
    response = await http.get("/actors", params={**NS, "name": "thing", **params})
    body = response.json()
    assert (response.status_code, error_of(response)) == (400, "api.bad_request")
    assert body["message"] == f"Request is invalid: {body['metadata']['reason']}"


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b'{"name":"thing"}', json.dumps(creation(bogus=1)).encode(), json.dumps(creation(crash_policy="x")).encode(),
        json.dumps(creation(key=1)).encode(), json.dumps(creation(input="***")).encode(), b'{"a":"' + b"x" * 2_097_152 + b'"}',
    ],
)  # fmt: skip
async def test_bad_bodies(http, content):
    response = await http.put("/actors", params=NS, content=content, headers={"content-type": "application/json"})
    assert (response.status_code, error_of(response)) == (400, "api.bad_request")


async def test_the_content_type_must_be_json(http):
    response = await http.put("/actors", params=NS, content=json.dumps(creation()), headers={"content-type": "text/plain"})
    assert error_of(response) == "api.bad_request"


async def test_a_created_actor_is_shown_before_it_started(http):
    actor = await put(http)
    assert (actor["start_ts"], actor["connectable_ts"], actor["destroy_ts"]) == (None, None, None)
    assert (actor["key"], actor["crash_policy"], actor["datacenter"]) == ("k", "sleep", "default")
    assert "error" not in actor
    assert set(actor) == {
        "actor_id", "name", "key", "namespace_id", "datacenter", "runner_name_selector", "crash_policy", "create_ts", "start_ts",
        "pending_allocation_ts", "connectable_ts", "sleep_ts", "reschedule_ts", "destroy_ts",
    }  # fmt: skip

    async def started():
        shown = await fetched(http, actor["actor_id"])
        return shown if shown["connectable_ts"] is not None else None

    shown = await until(started)
    assert shown["start_ts"] == shown["connectable_ts"]


async def test_get_or_create_finds_and_create_refuses(http):
    actor = await put(http)
    again = await http.put("/actors", params=NS, json=creation())
    assert again.json() == {"actor": {**again.json()["actor"], "actor_id": actor["actor_id"]}, "created": False}
    twice = await http.post("/actors", params=NS, json=creation())
    assert (twice.status_code, error_of(twice)) == (400, "actor.duplicate_key")
    assert twice.json()["metadata"] == {"existing_actor_id": actor["actor_id"], "key": "k"}
    assert twice.json()["message"] == f"Actor key 'k' already in use for actor '{actor['actor_id']}'"


async def test_concurrent_get_or_create_over_http(http):
    answers = [response.json() for response in await asyncio.gather(*(http.put("/actors", params=NS, json=creation()) for _ in range(20)))]
    assert len({answer["actor"]["actor_id"] for answer in answers}) == 1
    assert sum(answer["created"] for answer in answers) == 1


async def test_actors_that_nobody_registered_do_not_fill_the_log(http):
    with capture_logs() as records:
        for number in range(40):
            await put(http, name=f"unheard-of-{number}" + "x" * 5000)
    assert len([one for one in records if one["event"] == "actor start failed"]) == FAULTS
    assert max(len(str(one)) for one in records) < 1500


async def test_key_limits(http):
    empty = await http.put("/actors", params=NS, json=creation(""))
    assert error_of(empty) == "actor.empty_key"
    await put(http, "x" * 1024)
    long = await http.put("/actors", params=NS, json=creation("x" * 1025))
    assert error_of(long) == "actor.key_too_large"
    assert long.json()["metadata"] == {"max_size": 1024, "key_preview": "x" * 1024}


async def test_unknown_pool_and_datacenter(http):
    pool = await http.put("/actors", params=NS, json=creation(runner_name_selector="nope"))
    assert error_of(pool) == "actor.no_runner_config_configured"
    assert pool.json()["metadata"] == {"namespace": "default", "pool_name": "nope"}
    datacenter = await http.put("/actors", params=NS, json=creation(datacenter="moon"))
    assert error_of(datacenter) == "datacenter.not_found"


async def test_an_actor_without_key_is_found_by_no_key(http):
    response = await http.post("/actors", params=NS, json={**creation(), "key": None})
    actor = response.json()["actor"]
    assert actor["key"] is None
    listed = await http.get("/actors", params={**NS, "name": "thing"})
    assert [item["actor_id"] for item in listed.json()["actors"]] == [actor["actor_id"]]
    keyed = await http.get("/actors", params={**NS, "name": "thing", "key": "/"})
    assert keyed.json()["actors"] == []


async def test_input_reaches_the_generation(http, fake):
    given = base64.b64encode(cbor2.dumps({"a": [1, "two"]})).decode()
    actor = await put(http, input=given)

    async def live():
        return fake.live.get(actor["actor_id"])

    assert (await until(live)).identity.input == {"a": [1, "two"]}


async def test_listing_rules(http):
    async def listed(**params):
        return await http.get("/actors", params={**NS, **params})

    actor = await put(http)
    for params, message in (
        ({"actor_ids": actor["actor_id"], "name": "thing"}, BOTH_FILTERS),
        ({"key": "k"}, "Name is required when key is provided."),
        ({}, "Name is required when not using actor_ids."),
        ({"actor_ids": "garbage,more"}, "Name is required when not using actor_ids."),
    ):  # fmt: skip
        response = await listed(**params)
        assert (response.status_code, error_of(response)) == (400, "validation.invalid_input")
        assert response.json()["message"] == message
        assert response.json()["metadata"] == {"message": message}
    many = await listed(actor_ids=",".join([actor["actor_id"]] * 33))
    assert many.json() == {
        "group": "validation", "code": "too_many_actor_ids", "message": "Too many actor IDs provided. Maximum is 32, got 33",
        "metadata": {"max": 32, "count": 33},
    }  # fmt: skip
    assert (await listed(actor_ids=f"garbage,{actor['actor_id'].upper()}")).json()["actors"][0]["actor_id"] == actor["actor_id"]
    assert (await listed(name="thing", limit="0")).json() == {"actors": [], "pagination": {"cursor": None}}
    assert (await listed(name="thing", key="")).json()["actors"] != []
    bad = await listed(name="thing", cursor="x")
    assert (bad.status_code, error_of(bad)) == (500, "core.internal_error")


async def test_pages_run_from_newest_to_oldest(http):
    ids = [(await put(http, str(number)))["actor_id"] for number in range(5)]
    assert await paged(http) == ids[::-1]


async def paged(http, **more):
    """The actors of all pages, of two each."""
    seen, cursor = [], None
    while True:
        params = {**NS, "name": "thing", "limit": "2", **more, **({"cursor": cursor} if cursor else {})}
        page = (await http.get("/actors", params=params)).json()
        cursor = page["pagination"]["cursor"]
        if not page["actors"]:
            assert cursor is None
            break
        assert cursor == str(page["actors"][-1]["create_ts"])
        seen += [actor["actor_id"] for actor in page["actors"]]
    return seen


async def test_actors_of_one_moment_are_each_on_one_page(http, monkeypatch):
    moment = clock.now_ms()
    monkeypatch.setattr("runtime.clock.now_ms", lambda: moment)
    ids = [(await put(http, str(number)))["actor_id"] for number in range(7)]
    for gone in (ids[6], ids[1], ids[3]):
        await http.delete(f"/actors/{gone}", params=NS)
    again = (await put(http, "6"))["actor_id"]
    assert await paged(http) == [again, ids[5], ids[4], ids[2], ids[0]]
    assert await paged(http, include_destroyed="true") == [again, *ids[::-1]]
    shown = (await http.get("/actors", params={**NS, "name": "thing", "include_destroyed": "true"})).json()["actors"]
    for one in shown:
        moments = [one[name] for name in ("start_ts", "connectable_ts", "destroy_ts") if one[name] is not None]
        assert all(one["create_ts"] <= at for at in moments)


async def test_destroy_frees_the_key_and_keeps_the_record(http):
    actor = await put(http)
    path = f"/actors/{actor['actor_id']}"
    assert (await http.delete(path, params=NS)).json() == {}
    assert (await http.delete(path, params=NS)).status_code == 200
    assert (await fetched(http, actor["actor_id"]))["destroy_ts"] is not None
    plain = await http.get("/actors", params={**NS, "name": "thing", "key": "k"})
    assert plain.json()["actors"] == []
    recreated = await put(http)
    assert recreated["actor_id"] != actor["actor_id"]
    both = await http.get("/actors", params={**NS, "name": "thing", "key": "k", "include_destroyed": "true"})
    assert [item["actor_id"] for item in both.json()["actors"]] == [recreated["actor_id"], actor["actor_id"]]
    for order in ("sleep", "reschedule"):
        response = await http.post(f"{path}/{order}", params=NS, json={})
        assert (response.status_code, error_of(response)) == (400, "actor.not_found")


async def test_orders_for_unknown_and_malformed_ids(http):
    await http.post("/namespaces", json={"name": "other", "display_name": "Other"})
    actor = await put(http)
    for actor_id, namespace in (("5jxlv5boumuljx2d2nvyat0o2edl00", "default"), (actor["actor_id"], "other")):
        response = await http.delete(f"/actors/{actor_id}", params={"namespace": namespace})
        assert (response.status_code, error_of(response)) == (400, "actor.not_found")
        response = await http.post(f"/actors/{actor_id}/sleep", params={"namespace": namespace}, json={})
        assert (response.status_code, error_of(response)) == (400, "actor.not_found")
    malformed = await http.delete("/actors/xyz", params=NS)
    assert error_of(malformed) == "api.bad_request"
    listed = await http.get("/actors", params={"namespace": "other", "actor_ids": actor["actor_id"]})
    assert (listed.status_code, listed.json()["actors"]) == (200, [])


async def test_sleep_answers_at_once_and_needs_a_body(http, fake):
    actor = await put(http)

    async def running():
        return (await fetched(http, actor["actor_id"]))["connectable_ts"]

    await until(running)
    empty = await http.post(f"/actors/{actor['actor_id']}/sleep", params=NS)
    assert error_of(empty) == "api.bad_request"
    release = asyncio.Event()
    fake.plan["stop"] = lambda generation: release.wait()
    assert (await http.post(f"/actors/{actor['actor_id']}/sleep", params=NS, json={})).json() == {}
    shown = await fetched(http, actor["actor_id"])
    assert shown["sleep_ts"] is not None
    assert shown["connectable_ts"] is None
    release.set()


async def test_names(http):
    await put(http)
    await http.put("/actors", params=NS, json={**creation(), "name": "zzz"})
    names = (await http.get("/actors/names", params=NS)).json()
    assert names == {
        "names": {"other": {"metadata": {}}, "thing": {"metadata": {"icon": "bolt", "name": "A thing"}}, "zzz": {"metadata": {}}},
        "pagination": {"cursor": "zzz"},
    }
    page = (await http.get("/actors/names", params={**NS, "limit": "1", "cursor": "other"})).json()
    assert (list(page["names"]), page["pagination"]["cursor"]) == (["thing"], "thing")


async def test_keys_of_the_operator(http):
    actor = await put(http)
    path = f"/actors/{actor['actor_id']}/kv/keys/"
    missing = await http.get(path + "BA%3D%3D", params=NS)
    assert (missing.status_code, error_of(missing)) == (400, "actor.kv_key_not_found")
    bad = await http.get(path + "%21", params=NS)
    assert (bad.status_code, error_of(bad)) == (500, "core.internal_error")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "name too short"), ("x" * 65, "name too long"), ("Upper", "invalid name"), ("-a", "invalid name"), ("a--b", "invalid name"),
        ("a_b", "invalid name"),
    ],
)  # fmt: skip
async def test_bad_namespace_names(http, name, reason):
    response = await http.post("/namespaces", json={"name": name, "display_name": "x"})
    assert (response.status_code, error_of(response)) == (400, "namespace.failed_to_create")
    assert response.json()["metadata"] == {"reason": reason}


async def test_namespaces(http):
    made = await http.post("/namespaces", json={"name": "a-b", "display_name": "A B"})
    namespace = made.json()["namespace"]
    assert set(namespace) == {"namespace_id", "name", "display_name", "create_ts"}
    twice = await http.post("/namespaces", json={"name": "a-b", "display_name": "A B"})
    assert error_of(twice) == "namespace.name_not_unique"
    one = (await http.get("/namespaces", params={"name": "a-b"})).json()
    assert one == {"namespaces": [namespace], "pagination": {"cursor": None}}
    everything = (await http.get("/namespaces")).json()
    assert {item["name"] for item in everything["namespaces"]} == {"default", "a-b"}
    default = (await http.get("/namespaces", params={"name": "default"})).json()["namespaces"][0]
    assert default["display_name"] == "Default"


async def test_bring_up_of_a_driver_harness(http):
    """WIRE-126: namespace, datacenters, pool, envoys, and then actors of that pool run."""
    await http.post("/namespaces", json={"name": "run-1", "display_name": "Run 1"})
    datacenter = (await http.get("/datacenters")).json()["datacenters"][0]["name"]
    space = {"namespace": "run-1"}
    assert (await http.get("/envoys", params={**space, "name": "drivers"})).json()["envoys"] == []
    done = await http.put("/runner-configs/drivers", params=space, json={"datacenters": {datacenter: {"normal": {}}}})
    assert done.json() == {"endpoint_config_changed": False}
    envoys = (await http.get("/envoys", params={**space, "name": "drivers"})).json()["envoys"]
    assert [envoy["pool_name"] for envoy in envoys] == ["drivers"]
    configs = (await http.get("/runner-configs", params=space)).json()["runner_configs"]
    assert configs["drivers"]["datacenters"][datacenter]["normal"] == {
        "drain_on_version_upgrade": True, "actor_eviction_delay": 0, "actor_eviction_period": 0, "actor_eviction_rate": 1.0,
    }  # fmt: skip
    response = await http.put("/actors", params=space, json=creation(runner_name_selector="drivers"))
    assert response.json()["created"] is True
    assert (await http.delete("/runner-configs/drivers", params=space)).json() == {}
    assert (await http.get("/runner-configs", params=space)).json()["runner_configs"] == {}


async def test_bad_runner_configs(http):
    for body, code in (
        ({"datacenters": {"moon": {"normal": {}}}}, "datacenter.not_found"),
        ({"datacenters": {"default": {}}}, "api.bad_request"),
        ({}, "api.bad_request"),
    ):  # fmt: skip
        response = await http.put("/runner-configs/p", params=NS, json=body)
        assert (response.status_code, error_of(response)) == (400, code)


async def test_cors_mirrors_what_a_browser_asks(http):
    response = await http.get("/datacenters", headers={"origin": "http://page"})
    assert response.headers["access-control-allow-origin"] == "http://page"
    assert response.headers["access-control-allow-credentials"] == "true"
    assert response.headers["vary"] == "origin, access-control-request-method, access-control-request-headers"
    preflight = await http.options(
        "/actors",
        headers={"origin": "http://page", "access-control-request-method": "PUT", "access-control-request-headers": "x-a, x-b"},
    )
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-methods"] == "PUT"
    assert preflight.headers["access-control-allow-headers"] == "x-a, x-b"
    plain = await http.get("/health", headers={"origin": "http://page"})
    assert "access-control-allow-origin" not in plain.headers


async def test_the_admin_token_guards_what_is_marked(fake):
    async with serving(Registry(Thing), HostOptions(admin_token="secret")) as http:
        actor = await put(http)
        guarded = [
            ("GET", "/actors?namespace=default&name=thing"), ("DELETE", f"/actors/{actor['actor_id']}?namespace=default"),
            ("GET", "/namespaces"), ("GET", "/datacenters"), ("GET", "/envoys?namespace=default"), ("GET", "/health/fanout"),
            ("GET", "/actors/names?namespace=default"), ("GET", "/runner-configs?namespace=default"), ("GET", "/runners?namespace=default"),
        ]  # fmt: skip
        for method, path in guarded:
            for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "bearer secret"}):
                response = await http.request(method, path, headers=headers)
                assert (response.status_code, error_of(response)) == (403, "api.forbidden"), path
        for path in ("/health", "/metadata?namespace=default", f"/actors?namespace=default&actor_ids={actor['actor_id']}"):
            assert (await http.get(path)).status_code == 200
        keyed = await http.get("/actors", params={**NS, "name": "thing", "key": "k"})
        assert keyed.status_code == 200
        for method, path in guarded:
            response = await http.request(method, path, headers={"authorization": "Bearer secret"})
            assert response.status_code == 200, path


async def test_targets_other_than_ours_have_no_route(http):
    response = await http.get("/x", headers={"x-rivet-target": "moon", "host": "example.org:1234"})
    assert response.status_code == 404
    assert response.json() == {
        "group": "guard", "code": "no_route", "message": "No route found for hostname example.org, path /x.",
        "metadata": {"host": "example.org", "path": "/x"},
    }  # fmt: skip
    api = await http.get("/health", headers={"x-rivet-target": "api-public"})
    assert api.status_code == 200


async def test_what_is_known_of_destroyed_actors_and_names_survives_a_restart(tmp_path, fake):
    async with serving(Registry(Thing), storage=tmp_path) as http:
        ids = []
        for _ in range(3):
            ids.append((await put(http))["actor_id"])
            await http.delete(f"/actors/{ids[-1]}", params=NS)
        await put(http, "k2", name="unheard-of")
    async with serving(Registry(Thing), storage=tmp_path) as http:
        assert await paged(http, key="k", include_destroyed="true") == ids[::-1]
        assert (await http.delete(f"/actors/{ids[0]}", params=NS)).json() == {}
        assert {"thing", "unheard-of"} <= (await http.get("/actors/names", params=NS)).json()["names"].keys()


async def test_records_survive_a_restart(tmp_path, fake):
    async with serving(Registry(Thing), storage=tmp_path) as http:
        actor = await put(http)
        await http.post("/namespaces", json={"name": "kept", "display_name": "Kept"})
    async with serving(Registry(Thing), storage=tmp_path) as http:
        found = (await http.get("/actors", params={**NS, "name": "thing", "key": "k"})).json()["actors"]
        assert [item["actor_id"] for item in found] == [actor["actor_id"]]
        assert (await http.get("/namespaces", params={"name": "kept"})).json()["namespaces"] != []


async def test_a_method_llhttp_does_not_know_is_answered(http):
    answer = await exchange(http.port, b"FROB /health HTTP/1.1\r\nHost: h\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 405 ")


async def test_a_connection_may_mix_known_and_custom_methods(http):
    reader, writer = await asyncio.open_connection("127.0.0.1", http.port)
    for method, status in ((b"GET", b"200"), (b"FROB", b"405"), (b"GET", b"200")):
        writer.write(method + b" /health HTTP/1.1\r\nHost: h\r\n\r\n")
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert head.split(b" ")[1] == status
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(length)
    writer.close()
