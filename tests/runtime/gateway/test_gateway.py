"""The gateway with real actors over real sockets."""

import asyncio
import base64
import json
from urllib.parse import quote

import cbor2
import pytest
import websockets

from runtime import Actor, Context, HostOptions, Options, Queue, Registry, Request, Response, UserError, action
from runtime.protocol.encodings import Encoding
from runtime.protocol.http_bodies import decode_action_response, decode_error, encode_action_request
from tests.runtime.gateway.support import OPEN, error_of, exchange, serving

NS = {"namespace": "default"}
UNKNOWN_ID = "5jxlv5boumuljx2d2nvyat0o2edl00"


class Probe(Actor):
    name = "probe"
    state = {"count": 0}
    queues = {"jobs": Queue()}
    options = Options(action_timeout=1.0, sleep_grace_period=2.0)

    @action
    def echo(self, c: Context, *args: object) -> object:
        return list(args)

    @action
    def increment(self, c: Context) -> int:
        c.state.count += 1
        return c.state.count

    @action("group.inner")
    def inner(self, c: Context) -> str:
        return "inner"

    @action
    async def slow(self, c: Context, seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "done"

    @action
    def fail(self, c: Context, kind: str) -> None:
        if kind == "user":
            raise UserError("Nope", "no", {"a": 1})
        raise RuntimeError("secret")

    @action
    def big(self, c: Context, size: int) -> str:
        return "x" * size

    @action
    def go_to_sleep(self, c: Context) -> None:
        c.sleep()

    @action
    def params(self, c: Context) -> object:
        return c.conn.params

    async def on_request(self, c: Context, request: Request) -> Response | None:
        if request.path == "/none":
            return None
        if request.path == "/boom":
            raise RuntimeError("secret")
        if request.path == "/teapot":
            return Response("short", 418, (("x-a", "1"), ("X-A", "2"), ("set-cookie", "a"), ("set-cookie", "b")))
        shown = {"method": request.method, "url": request.url, "headers": dict(request.headers)}
        shown["body"] = None if request.body is None else base64.b64encode(request.body).decode()
        return Response.json(shown)


class Quiet(Actor):
    name = "quiet"


@pytest.fixture
async def http():
    options = HostOptions(max_incoming_message_size=1000, max_outgoing_message_size=1000, **OPEN)
    async with serving(Registry(Probe, Quiet), options) as client:
        yield client


@pytest.fixture
async def actor_id(http):
    return await create(http)


async def create(http, name="probe", key="k"):
    body = {"name": name, "key": key, "runner_name_selector": "default", "crash_policy": "sleep"}
    return (await http.put("/actors", params=NS, json=body)).json()["actor"]["actor_id"]


async def act(http, actor_id, name, *args, **more):
    return await http.post(f"/gateway/{actor_id}/action/{name}", json={"args": list(args)}, **more)


def query(**params):
    return "&".join(f"rvt-{name.replace('_', '-')}={value}" for name, value in {"namespace": "default", "method": "get", **params}.items())


async def test_an_action(http, actor_id):
    response = await act(http, actor_id, "echo", 1, "two")
    assert (response.status_code, response.json()) == (200, {"output": [1, "two"]})
    headers = response.headers
    assert headers["content-type"] == "application/json"
    assert (headers["x-rivet-actor"], headers["x-rivet-actor-generation"], headers["x-rivet-actor-key"]) == (actor_id, "1", "k")
    assert headers["access-control-allow-origin"] == "*"
    assert headers["access-control-expose-headers"] == "*"
    assert "vary" not in headers
    assert len(headers["x-rivet-ray-id"]) == 30


@pytest.mark.parametrize("encoding", list(Encoding))
async def test_an_action_in_every_encoding(http, actor_id, encoding):
    content = encode_action_request([{"a": None}, [1.5]], encoding)
    response = await http.post(f"/gateway/{actor_id}/action/echo", content=content, headers={"x-rivet-encoding": encoding})
    assert response.headers["content-type"] == encoding.content_type
    assert decode_action_response(response.content, encoding) == [{"a": None}, [1.5]]
    failed = await http.post(
        f"/gateway/{actor_id}/action/fail", content=encode_action_request(["user"], encoding), headers={"x-rivet-encoding": encoding}
    )
    error = decode_error(failed.content, encoding)
    assert (failed.status_code, error.group, error.code, error.message, error.metadata) == (500, "user", "no", "Nope", {"a": 1})
    assert (error.actor.actor_id, error.actor.generation, error.actor.key) == (actor_id, 1, "k")


async def test_errors_of_actions(http, actor_id):
    cases = [
        (await act(http, actor_id, "missing"), 404, "actor.action_not_found"),
        (await act(http, actor_id, "fail", "secret"), 500, "rivetkit.internal_error"),
        (await act(http, actor_id, "slow", 5), 408, "actor.action_timed_out"),
        (await act(http, actor_id, "echo", "x" * 1000), 400, "message.incoming_too_long"),
        (await act(http, actor_id, "big", 2000), 400, "message.outgoing_too_long"),
        (await http.post(f"/gateway/{actor_id}/action/echo", content=b""), 400, "core.internal_error"),
        (await http.post(f"/gateway/{actor_id}/action/echo", content=b"{"), 400, "core.internal_error"),
        (await act(http, actor_id, "echo", headers={"x-rivet-conn-params": "{"}), 400, "core.internal_error"),
        (await act(http, actor_id, "echo", ["$Nope", 1]), 500, "rivetkit.internal_error"),
        (await http.get(f"/gateway/{actor_id}/action/echo"), 405, "actor.method_not_allowed"),
        (await act(http, actor_id, ""), 404, "actor.not_found"),
        (await http.post(f"/gateway/{actor_id}/nowhere"), 404, "actor.not_found"),
    ]
    for response, status, name in cases:
        assert (response.status_code, error_of(response)) == (status, name)
        assert response.headers["x-rivet-actor"] == actor_id
        assert response.json()["actor"] == {"actorId": actor_id, "generation": 1, "key": "k"}
    assert cases[1][0].json()["message"] == "An internal error occurred"
    assert "metadata" not in cases[1][0].json()
    assert cases[9][0].json()["metadata"] == {"method": "GET", "path": "/action/echo"}
    assert cases[11][0].json()["metadata"] == {"resource": "route", "id": "/nowhere"}


async def test_args_forms_and_names(http, actor_id):
    async def output(body, name="echo"):
        return (await http.post(f"/gateway/{actor_id}/action/{name}", json=body)).json()["output"]

    assert await output({"args": None}) == []
    assert await output({}) == []
    assert await output({"args": 5}) == [5]
    assert await output([1, 2]) == []
    assert await output({}, "group.inner") == "inner"
    assert await output({}, "group%2Einner?ignored=1") == "inner"


async def test_an_unreadable_action_name(http, actor_id):
    response = await http.post(f"http://127.0.0.1:{http.port}/gateway/{actor_id}/action/%zz", content=b"{}")
    answer = await exchange(http.port, f"POST /gateway/{actor_id}/action/%zz HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{{}}".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 500 ")
    assert b"x-rivet-error: envoy.fetch_failed" in head
    assert json.loads(body) == {"group": "envoy", "code": "fetch_failed", "message": "actor fetch failed", "metadata": {}}
    assert response.status_code in (404, 500)


async def test_connection_parameters(http, actor_id):
    response = await act(http, actor_id, "params", headers={"x-rivet-conn-params": '{"a": [1]}'})
    assert response.json()["output"] == {"a": [1]}
    assert (await act(http, actor_id, "params")).json()["output"] is None


async def test_queue_sends(http, actor_id):
    async def send(name, body):
        return await http.post(f"/gateway/{actor_id}/queue/{name}", json=body)

    assert (await send("jobs", {"body": 1})).json() == {"status": "completed"}
    assert (await send("%6Aobs", {})).json() == {"status": "completed"}
    assert (await send("undeclared", {"body": 1, "wait": True})).json() == {"status": "completed"}
    assert (await send("jobs", {"body": 1, "wait": True, "timeout": 0})).json() == {"status": "timedOut"}
    negative = await send("jobs", {"timeout": -1})
    assert (negative.status_code, error_of(negative)) == (400, "core.internal_error")
    for path in ("a/b", ""):
        assert error_of(await send(path, {})) == "actor.not_found"
    wrong = await http.get(f"/gateway/{actor_id}/queue/jobs")
    assert (wrong.status_code, wrong.json()["metadata"]) == (405, {"method": "GET", "path": "/queue/jobs"})


async def test_queue_members_that_a_js_client_leaves_undefined(http, actor_id):
    body = cbor2.dumps({"body": 1, "wait": cbor2.undefined, "timeout": cbor2.undefined})
    response = await http.post(f"/gateway/{actor_id}/queue/jobs", content=body, headers={"x-rivet-encoding": "cbor"})
    assert cbor2.loads(response.content) == {"status": "completed"}


async def test_raw_requests_arrive_unchanged(http, actor_id):
    async def shown(path, method="GET", **more):
        return (await http.request(method, f"/gateway/{actor_id}{path}", **more)).json()

    assert (await shown("/request"))["url"] == "http://127.0.0.1/"
    assert (await shown("/request/"))["url"] == "http://127.0.0.1/"
    assert (await shown("/request?x=1"))["url"] == "http://127.0.0.1/?x=1"
    got = await shown("/request/a%20b%2Fc?x=1&x=%20+", "POST", content=b"\x00\xff", headers={"authorization": "Bearer t", "cookie": "c=1"})
    assert got["method"] == "POST"
    assert got["url"] == "http://127.0.0.1/a%20b%2Fc?x=1&x=%20+"
    assert got["body"] == base64.b64encode(b"\x00\xff").decode()
    assert got["headers"]["host"] == f"127.0.0.1:{http.port}"
    assert (got["headers"]["authorization"], got["headers"]["cookie"]) == ("Bearer t", "c=1")
    assert (await shown("/request/x", "DELETE"))["body"] is None


async def test_raw_responses_arrive_unchanged(http, actor_id):
    response = await http.get(f"/gateway/{actor_id}/request/teapot")
    assert (response.status_code, response.text) == (418, "short")
    assert response.headers["x-a"] == "1, 2"
    assert response.headers.get_list("set-cookie") == ["a", "b"]
    assert response.headers["content-length"] == "5"
    head = await http.head(f"/gateway/{actor_id}/request/teapot")
    assert (head.status_code, head.content) == (418, b"")
    custom = await exchange(http.port, f"FROB /gateway/{actor_id}/request/x HTTP/1.1\r\nHost: h\r\n\r\n".encode())
    assert b'"method":"FROB"' in custom


async def test_raw_request_failures(http, actor_id):
    for path in ("/none", "/boom"):
        response = await http.get(f"/gateway/{actor_id}/request{path}")
        assert (response.status_code, error_of(response)) == (500, "rivetkit.internal_error")
    params = await http.get(f"/gateway/{actor_id}/request/x", headers={"x-rivet-conn-params": "{"})
    assert (params.status_code, error_of(params)) == (500, "rivetkit.internal_error")
    quiet = await create(http, "quiet")
    missing = await http.get(f"/gateway/{quiet}/request")
    assert (missing.status_code, missing.content, missing.headers["x-rivet-actor"]) == (404, b"", quiet)


async def test_bodies_up_to_twenty_mebibytes(http, actor_id):
    limit = 20 * 1024 * 1024
    ok = await http.post(f"/gateway/{actor_id}/request/x", content=b"x" * 2_000_000)
    assert ok.status_code == 200
    over = await http.post(f"/gateway/{actor_id}/request/x", content=b"x" * (limit + 1))
    assert over.status_code == 413
    assert over.json() == {
        "group": "guard", "code": "invalid_request_body", "message": "Unable to parse request body: length limit exceeded.",
        "metadata": {"reason": "length limit exceeded"},
    }  # fmt: skip


async def test_fixed_routes(http, actor_id):
    banner = await http.get(f"/gateway/{actor_id}/")
    assert banner.text.splitlines()[0] == "This is an RivetKit actor."
    assert (await http.get(f"/gateway/{actor_id}")).text == banner.text
    health = await http.get(f"/gateway/{actor_id}/health")
    assert (health.text, health.headers["content-type"]) == ("ok", "text/plain; charset=utf-8")
    assert (await http.get(f"/gateway/{actor_id}/metadata")).json()["runtime"] == "rivetkit"
    metrics = await http.get(f"/gateway/{actor_id}/metrics")
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "x-rivet-actor" not in metrics.headers
    wrong = await http.post(f"/gateway/{actor_id}/health")
    assert (wrong.status_code, error_of(wrong)) == (405, "actor.method_not_allowed")


async def test_direct_form_faults(http, actor_id):
    for path, status, name in (
        (f"/gateway/{UNKNOWN_ID}/health", 404, "actor.not_found"),
        ("/gateway/short/health", 500, "core.internal_error"),
        ("/gateway/", 404, "api.not_found"),
        ("/gateway/@t/health", 404, "api.not_found"),
        (f"/gateway/{actor_id}@/health", 404, "api.not_found"),
        (f"/gateway/{actor_id}//health", 404, "api.not_found"),
        ("/gatewayx", 404, "api.not_found"),
    ):
        response = await http.get(f"http://127.0.0.1:{http.port}{path}")
        assert (response.status_code, error_of(response)) == (status, name), path
    assert (await http.get(f"/gateway/{actor_id}@tok%2Fen/health")).text == "ok"
    assert (await http.get(f"/gateway/{actor_id.upper()}/health")).text == "ok"


async def test_query_form(http):
    created = await http.post(f"/gateway/probe/action/increment?{query(method='getOrCreate', pool='default', key='a,b')}", json={})
    assert created.json() == {"output": 1}
    found = await http.post(f"/gateway/probe/action/increment?x=1&{query(key='a,b')}", json={})
    assert found.json() == {"output": 2}
    raw = await http.get(f"/gateway/probe/request/p?a=%20+&{query(key='a,b')}&b")
    assert raw.json()["url"] == "http://127.0.0.1/p?a=%20+&b"
    assert raw.headers["x-rivet-actor-key"] == "a/b"
    given = base64.urlsafe_b64encode(cbor2.dumps({"x": 1})).rstrip(b"=").decode()
    creating = query(method="getOrCreate", runner="default", key="i", input=given)
    with_input = await http.post(f"/gateway/probe/action/echo?{creating}", json={})
    assert with_input.status_code == 200


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (f"/gateway/probe/x?{query(key='none')}", "actor.not_found"),
        ("/gateway/probe/x?rvt-method=get", "guard.query_invalid_params"),
        (f"/gateway/a@b/x?{query()}", "guard.query_path_token_syntax"),
        (f"/gateway/probe/x?{query()}&rvt-key=a&rvt-key=b", "guard.query_duplicate_param"),
        (f"/gateway/probe/x?{query(bogus='1')}", "guard.query_invalid_params"),
        (f"/gateway/probe/x?{query(region='default')}", "guard.query_get_disallowed_params"),
        (f"/gateway/probe/x?{query(method='getOrCreate')}", "guard.query_missing_pool"),
        (f"/gateway/probe/x?{query(method='getOrCreate', pool='nope')}", "actor.no_runner_config_configured"),
        (f"/gateway/probe/x?{query(method='getOrCreate', pool='default', region='moon')}", "datacenter.not_found"),
        (f"/gateway/probe/x?{query(namespace='nope')}", "namespace.not_found"),
        (f"/gateway/?{query()}", "guard.query_empty_actor_name"),
    ],
)
async def test_query_form_faults(http, target, name):
    response = await http.get(target)
    assert (response.status_code, error_of(response)) == (404 if name == "actor.not_found" else 400, name)
    assert "x-rivet-actor" not in response.headers


async def test_concurrent_queries_make_one_actor(http):
    target = f"/gateway/probe/action/increment?{query(method='getOrCreate', pool='default', key='race')}"
    answers = await asyncio.gather(*(http.post(target, json={}) for _ in range(20)))
    assert sorted(answer.json()["output"] for answer in answers) == list(range(1, 21))


async def test_header_form(http, actor_id):
    target = {"x-rivet-target": "actor", "x-rivet-actor": actor_id}
    shown = await http.get("/request/a?x=1", headers=target)
    assert shown.json()["url"] == "http://127.0.0.1/a?x=1"
    assert shown.json()["headers"]["x-rivet-actor"] == actor_id
    for path in ("/action/echo", "/requestfoo", "/api/x"):
        response = await http.get(path, headers=target)
        assert (response.status_code, error_of(response)) == (404, "guard.no_route")
    missing = await http.get("/request", headers={"x-rivet-target": "actor"})
    assert (missing.status_code, missing.json()["metadata"]) == (400, {"header": "x-rivet-actor"})
    malformed = await http.get("/request", headers={"x-rivet-target": "actor", "x-rivet-actor": "short"})
    assert (malformed.status_code, error_of(malformed)) == (500, "core.internal_error")


async def test_skip_ready_wait_values(http, actor_id):
    for value in ("true", "1", "false", "0"):
        assert (await act(http, actor_id, "echo", headers={"x-rivet-skip-ready-wait": value})).status_code == 200
    bad = await act(http, actor_id, "echo", headers={"x-rivet-skip-ready-wait": "yes"})
    assert bad.status_code == 400
    assert bad.json()["message"] == "Invalid x-rivet-skip-ready-wait header: expected true, false, 1, or 0."


async def test_cors(http, actor_id):
    preflight = await http.options(f"/gateway/{UNKNOWN_ID}/x", headers={"origin": "http://p", "access-control-request-headers": "x-a"})
    assert (preflight.status_code, preflight.content) == (204, b"")
    assert preflight.headers["access-control-allow-methods"] == "GET, POST, PUT, DELETE, OPTIONS, PATCH"
    assert preflight.headers["access-control-allow-headers"] == "x-a"
    assert preflight.headers["access-control-max-age"] == "86400"
    assert (preflight.headers["access-control-allow-origin"], preflight.headers["vary"]) == ("http://p", "Origin")
    plain = await http.options("/x", headers={"x-rivet-target": "actor"})
    assert (plain.status_code, plain.headers["access-control-allow-origin"]) == (204, "*")
    failed = await http.get(f"/gateway/{UNKNOWN_ID}/x", headers={"origin": "http://p"})
    assert failed.headers["access-control-allow-origin"] == "http://p"


async def test_a_request_during_sleep_is_served_by_the_next_generation(http, actor_id):
    slow = asyncio.create_task(act(http, actor_id, "slow", 0.2))
    await asyncio.sleep(0.05)
    await act(http, actor_id, "go_to_sleep")
    held = await act(http, actor_id, "increment")
    assert (held.status_code, held.headers["x-rivet-actor-generation"]) == (200, "2")
    assert (await slow).json() == {"output": "done"}


async def test_state_survives_sleep_and_not_destroy(http, actor_id):
    assert (await act(http, actor_id, "increment")).json() == {"output": 1}
    await http.post(f"/actors/{actor_id}/sleep", params=NS, json={})
    assert (await act(http, actor_id, "increment")).json() == {"output": 2}
    await http.delete(f"/actors/{actor_id}", params=NS)
    gone = await act(http, actor_id, "increment")
    assert (gone.status_code, error_of(gone)) == (404, "actor.not_found")
    again = await create(http)
    assert (await act(http, again, "increment")).json() == {"output": 1}


async def test_the_inspector_token_is_readable_by_the_operator(http, actor_id):
    await act(http, actor_id, "echo")
    response = await http.get(f"/actors/{actor_id}/kv/keys/Aw%3D%3D", params=NS)
    assert response.status_code == 200
    assert len(base64.b64decode(response.json()["value"])) == 43


async def refused(url, protocols=("rivet",)):
    """Close code, reason and ray of an upgrade that is accepted and closed."""
    async with websockets.connect(url, subprotocols=list(protocols) or None) as socket:
        with pytest.raises(websockets.ConnectionClosed):
            await socket.recv()
        return socket.close_code, socket.close_reason, socket.response.headers


@pytest.mark.parametrize(
    ("path", "protocols", "name"),
    [
        ("/health/ws", ("rivet",), "guard.no_route"),
        ("/actors", ("rivet",), "core.internal_error"),
        ("/x", ("rivet", "rivet_target.moon"), "guard.no_route"),
        ("/x", ("rivet", "rivet_target.actor"), "guard.missing_header"),
        (f"/gateway/{UNKNOWN_ID}/connect", ("rivet",), "actor.not_found"),
        ("/gateway/short/connect", ("rivet",), "core.internal_error"),
        (f"/gateway/probe/connect?{query(key='none')}", ("rivet",), "actor.not_found"),
        ("/gateway/probe/connect?rvt-method=get", ("rivet",), "guard.query_invalid_params"),
    ],
)
async def test_failed_upgrades_are_accepted_and_closed(http, path, protocols, name):
    code, reason, headers = await refused(f"ws://127.0.0.1:{http.port}{path}", protocols)
    assert (code, reason) == (1011, f"{name}#{headers['x-rivet-ray-id']}")
    assert headers["sec-websocket-protocol"] == "rivet"
    if path.startswith("/gateway"):
        assert headers["access-control-allow-origin"] == "*"


@pytest.mark.virtual_time
async def test_an_upgrade_without_protocols_needs_a_token_in_the_path(http, actor_id):
    upgrade = (
        "GET /gateway/{} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    answer = await exchange(http.port, upgrade.format(f"{actor_id}/connect").encode())
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"guard.missing_header#" in answer
    answer = await exchange(http.port, upgrade.format(f"{actor_id}@t/connect").encode())
    assert b"guard.missing_header" not in answer


async def test_connections_by_path_query_and_entry(http, actor_id):
    call = json.dumps({"body": {"tag": "ActionRequest", "val": {"id": 1, "name": "echo", "args": ["hi"]}}})
    entries = ["rivet", "rivet_encoding.json"]
    for path, protocols in (
        (f"/gateway/{actor_id}/connect", entries),
        (f"/gateway/probe/connect?{query(key='k')}", entries),
        ("/connect", [*entries, "rivet_target.actor", f"rivet_actor.{quote(actor_id)}"]),
    ):
        async with websockets.connect(f"ws://127.0.0.1:{http.port}{path}", subprotocols=protocols) as socket:
            assert json.loads(await socket.recv())["body"]["tag"] == "Init"
            await socket.send(call)
            assert json.loads(await socket.recv())["body"]["val"]["output"] == ["hi"]
