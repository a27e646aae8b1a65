"""Suite gateway-answers: what of a request reaches an actor, and what the gateway adds to each answer: headers, origins, sizes, errors."""

from __future__ import annotations

import pytest

from client.transport import Transport
from driver_tests.addressing import NOT_FOUND, SEE, post, query, seen
from driver_tests.managing import ALONE, RAY, created, refused
from driver_tests.upgrading import upgrade
from harness import any_encoding, requirement, suite
from harness.testing.codecs import new_id
from harness.testing.interpreter import made, op

pytestmark = [suite("gateway-answers"), any_encoding]

LIMIT = 20 * 1024 * 1024
ORIGIN = "https://a.example"
CORS = "access-control-"
OPEN = {"allow-origin": "*", "allow-credentials": "true", "expose-headers": "*"}
OF_ORIGIN = {**OPEN, "allow-origin": ORIGIN}
METHODS = "GET, POST, PUT, DELETE, OPTIONS, PATCH"


def cors(headers):
    """What an answer says of origins, and on what it depends."""
    found = {name.removeprefix(CORS): value for name, value in headers.items() if name.startswith(CORS)}
    return found, headers.get("vary", "").lower()


@requirement("WIRE-260")
@pytest.mark.parametrize("place", ["id", "nobody", "query", "none", "malformed", "header", "header-action"])
async def test_preflights(conform, place):
    """OPTIONS is answered by the gateway, wherever it goes: 204, no actor, with the origin and the headers that are asked for."""
    actor_id = await made(conform, onRequest=SEE).resolve()
    path = {
        "id": f"/gateway/{actor_id}/request/x", "nobody": f"/gateway/{new_id()}/action/x", "none": "/gateway",
        "query": f"/gateway/counter/connect?{query(conform)}", "malformed": "/gateway/not-an-id/x", "header": "/request/x",
        "header-action": "/action/x",
    }[place]  # fmt: skip
    target = {"x-rivet-target": "actor"} if place.startswith("header") else {}
    for origin, wanted in ((ORIGIN, "x-a, x-b"), (ORIGIN, None), (None, "x-a"), (None, None)):
        asked = {"origin": origin, "access-control-request-headers": wanted, "access-control-request-method": "PUT", **target}
        answer = await conform.http.options(path, headers={name: value for name, value in asked.items() if value is not None})
        expected = {**(OF_ORIGIN if origin else OPEN), "allow-methods": METHODS, "allow-headers": wanted or "*", "max-age": "86400"}
        assert (answer.status_code, answer.content) == (204, b"")
        assert cors(answer.headers) == (expected, "origin" if origin else "")
        assert "x-rivet-actor" not in answer.headers
        assert RAY.fullmatch(answer.headers["x-rivet-ray-id"])


@requirement("WIRE-261", "WIRE-004")
async def test_origins(conform):
    """Each answer of the gateway allows the origin it was asked from, or any; errors, raw answers and upgrades do so, too."""
    actor_id = await made(conform, onRequest=SEE).resolve()
    by_header = {"x-rivet-target": "actor", "x-rivet-actor": actor_id}
    places = {
        "action": ("POST", f"/gateway/{actor_id}/action/exec", {}, 200),
        "error of the actor": ("POST", f"/gateway/{actor_id}/action/nothing", {}, 404),
        "error of the gateway": ("POST", f"/gateway/{new_id()}/action/x", {}, 404),
        "malformed": ("POST", "/gateway/x/action/x", {}, 500),
        "query": ("POST", f"/gateway/counter/action/nothing?{query(conform, method='get')}", {}, 404),
        "raw": ("GET", f"/gateway/{actor_id}/request/x", {}, 200),
        "header": ("GET", "/request/x", by_header, 200),
    }
    rays = set()
    for what, (method, path, headers, status) in places.items():
        for origin in ({}, {"origin": ORIGIN}):
            content = b'{"args":[[]]}' if method == "POST" else b""
            answer = await conform.http.request(method, path, headers={**ALONE, **headers, **origin}, content=content)
            assert answer.status_code == status, what
            assert cors(answer.headers) == ((OF_ORIGIN, "origin") if origin else (OPEN, "")), what
            rays.add(answer.headers["x-rivet-ray-id"])
    assert len(rays) == 2 * len(places)
    assert all(RAY.fullmatch(ray) for ray in rays)


@requirement("WIRE-261", "WIRE-262", "WIRE-004", "WIRE-005", "WIRE-264")
async def test_upgrades(conform):
    """An upgrade is 101 with the sub-protocol, a ray and origins, also when it fails; then the reason ends with that ray."""
    actor_id = await conform.get_or_create("rawWebSocketActor").resolve()
    rays, missing = set(), f"/gateway/counter/connect?{query(conform, method='get')}"
    for path, name in (
        (f"/gateway/{actor_id}/websocket/", None),
        (f"/gateway/{new_id()}/websocket/", "actor.not_found"),
        ("/gateway/x/websocket/", "core.internal_error"),
        (missing, "actor.not_found"),
    ):
        for origin in ({}, {"origin": ORIGIN}):
            found = await upgrade(conform, path, ["rivet", "other"], origin)
            assert (found.status, found.headers["sec-websocket-protocol"]) == (101, "rivet")
            assert "sec-websocket-extensions" not in found.headers
            assert cors(found.headers) == ((OF_ORIGIN, "origin") if origin else (OPEN, ""))
            ray = found.headers["x-rivet-ray-id"]
            rays.add(ray)
            if name is not None:
                assert found.close == (1011, f"{name}#{ray}")
    assert len(rays) == 8 and all(RAY.fullmatch(ray) for ray in rays)
    rest = await upgrade(conform, "/actors", ["rivet"])
    assert (rest.status, rest.close) == (101, (1011, f"core.internal_error#{rest.headers['x-rivet-ray-id']}"))


@requirement("WIRE-250", "WIRE-251", "WIRE-340")
@pytest.mark.parametrize("form", ["path", "query", "header"])
async def test_headers_that_reach_the_actor(conform, form):
    """All of them do, by small names: those of the gateway, of the connection and of who is in between, unchanged."""
    actor_id = await made(conform, onRequest=SEE).resolve()
    given = {
        "Authorization": "Bearer x", "Cookie": "a=b; c=d", "Accept-Encoding": "br", "X-Rivet-Token": "t", "X-Rivet-Conn-Params": '{"a":1}',
        "X-Forwarded-For": "1.2.3.4", "X-Empty": "", "User-Agent": "me", "X-Rivet-Encoding": "cbor", "Origin": ORIGIN,
    }  # fmt: skip
    if form != "query":
        given["X-Rivet-Skip-Ready-Wait"] = "false"
    by_header = {"X-Rivet-Target": "actor", "X-Rivet-Actor": actor_id}
    by_query = f"/gateway/interpreter/request/x?{query(conform)}"
    path = {"path": f"/gateway/{actor_id}/request/x", "query": by_query, "header": "/request/x"}[form]
    given |= by_header if form == "header" else {"X-Rivet-Actor": "me"}
    found = (await seen(conform, path, headers=given))["headers"]
    assert found.items() >= {name.lower(): value for name, value in given.items()}.items()
    assert found["host"] == conform.http.base_url.netloc.decode()
    assert all(name == name.lower() for name in found)


@requirement("WIRE-251", "WIRE-250")
async def test_repeated_headers(conform):
    """Of a header that comes twice the actor sees the last value."""
    actor_id = await made(conform, onRequest=SEE).resolve()
    headers = [("x-a", "1"), ("x-b", "2"), ("x-a", "3"), ("X-A", "4"), ("cookie", "a=1"), ("cookie", "b=2")]
    found = (await seen(conform, f"/gateway/{actor_id}/request/x", headers=headers))["headers"]
    assert (found["x-a"], found["x-b"], found["cookie"]) == ("4", "2", "b=2")


@requirement("WIRE-250", "WIRE-342", "WIRE-348")
@pytest.mark.parametrize(
    ("method", "body"), [("GET", ""), *((method, body) for method in ("PUT", "PATCH", "DELETE", "PROPFIND") for body in ("", "text"))]
)
async def test_methods_and_bodies_reach_the_actor(conform, method, body):
    """They are what was sent."""
    actor_id = await made(conform, onRequest=SEE).resolve()
    response = await conform.http.request(method, f"/gateway/{actor_id}/request/x", content=body.encode())
    assert response.status_code == 200
    assert (response.json()["method"], response.json()["body"] or "") == (method, body)


@requirement("WIRE-252", "WIRE-981", "WIRE-347")
@pytest.mark.parametrize("surplus", [0, 1])
@pytest.mark.parametrize("form", ["path", "header"])
async def test_size_of_a_request(conform, form, surplus):
    """Twenty MiB reach an actor, whose own limits are for messages; one byte more is refused before anything else is looked at."""
    actor_id = await made(conform, onRequest=[op("return", value={"status": 201})]).resolve()
    by_header = {"x-rivet-target": "actor", "x-rivet-actor": actor_id}
    path, headers = ("/request/x", by_header) if form == "header" else (f"/gateway/{actor_id}/request/x", {})
    response = await conform.http.post(path, content=b"x" * (LIMIT + surplus), headers=headers)
    if surplus:
        text = "Unable to parse request body: length limit exceeded."
        refused(response, 413, "guard.invalid_request_body", text, {"reason": response.json()["metadata"]["reason"]})
    else:
        assert response.status_code == 201


@requirement("WIRE-254", "WIRE-163", "WIRE-835", "WIRE-303", "WIRE-255", "WIRE-343")
async def test_headers_of_the_actor(conform):
    """All that a living actor answers names it, its generation and its key; the metrics do not."""
    actor_id = (await created(conform, "interpreter", key=conform.key[0] + r"/a\/b"))["actor_id"]
    own = {"x-rivet-actor": actor_id, "x-rivet-actor-generation": "1", "x-rivet-actor-key": conform.key[0] + r"/a\/b"}
    rows = [
        ("POST", "/action/exec", 200), ("POST", "/action/nothing", 404), ("POST", "/queue/jobs", 200), ("GET", "/action/exec", 405),
        ("GET", "/request/x", 404), ("GET", "/health", 200), ("GET", "/metadata", 200), ("GET", "/", 200), ("GET", "/nothing", 404),
    ]  # fmt: skip
    for method, path, status in rows:
        content = b'{"args":[[]]}' if path.startswith("/action") else b'{"body":1}' if path.startswith("/queue") else b""
        response = await conform.http.request(method, f"/gateway/{actor_id}{path}", content=content if method == "POST" else b"")
        found = {name: value for name, value in response.headers.items() if name.startswith("x-rivet-actor")}
        assert (response.status_code, found) == (status, own), path
    metrics = await conform.http.get(f"/gateway/{actor_id}/metrics")
    assert metrics.status_code == 200
    assert not [name for name in metrics.headers if name.startswith("x-rivet-actor")]


@requirement("WIRE-255", "WIRE-302")
@pytest.mark.parametrize("path", ["/action/%zz", "/action/%", "/action/a%2", "/action/%ff", "/queue/%zz"])
async def test_names_that_cannot_be_read(conform, path):
    """A name with a broken escape, or that is no text, fails in the host, with these bytes, whatever the encoding."""
    actor_id = (await created(conform))["actor_id"]
    for encoding in ("json", "cbor"):
        response = await post(conform, f"/gateway/{actor_id}{path}", **{"x-rivet-encoding": encoding})
        assert (response.status_code, response.headers["x-rivet-error"]) == (500, "envoy.fetch_failed")
        assert response.json() == {"group": "envoy", "code": "fetch_failed", "message": "actor fetch failed", "metadata": {}}
        assert response.headers["content-type"] == "application/json"


@requirement("WIRE-302")
@pytest.mark.parametrize(
    ("written", "name"), [("a+b", "a+b"), ("a%20b", "a b"), ("%C3%A9", "é"), ("a%2Fb", "a/b"), ("a%252Fb", "a%2Fb"), ("a?b=1", "a")]
)
async def test_names_of_actions(conform, written, name):
    """A name is one segment with its escapes undone once, as UTF-8; a plus stays one, and a query is not part of it."""
    actor_id = (await created(conform))["actor_id"]
    response = await post(conform, f"/gateway/{actor_id}/action/{written}")
    assert (response.status_code, response.json()["message"]) == (404, f"Action `{name}` was not found.")


@requirement("WIRE-300", "WIRE-301")
async def test_paths_and_methods_of_an_actor(conform):
    """A path that no one serves is not found, with its name; a wrong method of one that someone serves is named with the path."""
    actor_id = (await created(conform))["actor_id"]
    parts = ["nothing", "connect", "websocket/x", "action", "action/", "action/a/b", "queue/", "queue/a/b", "requests", "Health", "health/"]
    for path in (f"/{part}" for part in parts):
        for method in ("GET", "POST"):
            body = (await conform.http.request(method, f"/gateway/{actor_id}{path}?x=1")).json()
            actor = body.pop("actor")
            assert actor["actorId"] == actor_id
            expected = {"group": "actor", "code": "not_found", "message": f"Actor route '{path}' was not found."}
            assert body == {**expected, "metadata": {"resource": "route", "id": path}}
    for method, path in (
        ("GET", "/action/getCount"), ("PUT", "/action/getCount"), ("GET", "/queue/x"), ("PUT", "/queue/x"), ("POST", "/health"),
        ("POST", "/metadata"), ("POST", "/metrics"), ("POST", "/"), ("DELETE", "/health"),
    ):  # fmt: skip
        response = await conform.http.request(method, f"/gateway/{actor_id}{path}?x=1")
        body = response.json()
        assert response.status_code == 405
        expected = {"group": "actor", "code": "method_not_allowed", "message": "Method not allowed"}
        expected["metadata"] = {"method": method, "path": path}
        assert {name: value for name, value in body.items() if name != "actor"} == expected


@requirement("WIRE-837", "WIRE-836", "WIRE-008", "WIRE-208")
@pytest.mark.parametrize("encoding", ["json", "cbor", "bare", "nonsense"])
async def test_errors_of_the_gateway(conform, encoding):
    """They are JSON objects without null members, whatever encoding was asked for."""
    headers = {"x-rivet-encoding": encoding}
    refused(await post(conform, f"/gateway/{new_id()}/action/x", **headers), 404, *NOT_FOUND)
    refused(await post(conform, "/gateway/x/action/x", **headers), 500, "core.internal_error", "An internal error occurred")
    fault = await post(conform, f"/gateway/counter/x?{query(conform, drop=['pool'])}", **headers)
    refused(fault, 400, "guard.query_missing_pool", "query gateway method=getOrCreate requires rvt-pool param")


@requirement("WIRE-232", "WIRE-263", "WIRE-264")
async def test_upgrades_without_entries(conform):
    """By path they need a token or at least the header of the entries."""
    actor_id = await conform.get_or_create("rawWebSocketActor").resolve()
    for path, fine in ((f"/gateway/{actor_id}", False), (f"/gateway/{actor_id}@t", True)):
        found = await upgrade(conform, f"{path}/websocket/", None)
        if fine:
            assert found.close is None
        else:
            assert found.close == (1011, f"guard.missing_header#{found.headers['x-rivet-ray-id']}")
    transport = Transport(None)
    try:
        named = f"/gateway/rawWebSocketActor/websocket/?{query(conform)}&rvt-token=t"
        socket = await transport.open(conform.endpoint + named, ["rivet"], {})
        assert await socket.receive() is not None
        await socket.close()
    finally:
        await transport.close()
