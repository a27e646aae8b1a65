"""The doors of a server that runs: what a page of elsewhere gets of it, and what operators need from other machines."""

import asyncio
import json

import httpx
import pytest
import websockets

from client import ActorError, Client
from runtime import Actor, HostOptions, InProcessServer, Registry, action, create_app, serve
from runtime.gateway.rate_limits import RateLimits
from tests.runtime.gateway.support import error_of, exchange

EVIL = {"origin": "https://evil.example"}
QUERY = "rvt-namespace=default&rvt-method=getOrCreate&rvt-runner=default&rvt-key=k"


class Secret(Actor):
    woken = 0

    async def on_wake(self, c):
        Secret.woken += 1

    @action
    async def read(self, c):
        return "secret"

    @action
    async def ask(self, c):
        return await c.client().get_or_create("secret", "other").action("read")


@pytest.fixture(autouse=True)
def asleep():
    Secret.woken = 0


@pytest.fixture
async def server():
    async with InProcessServer(create_app(Registry(Secret))) as running:
        yield running


def http(server, **headers):
    return httpx.AsyncClient(base_url=server.url, headers=headers, verify=False)


def handshake(path, **headers):
    names = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    return f"GET {path} HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{key}{names}\r\n".encode()


async def test_no_page_of_elsewhere_gets_a_token_or_reaches_an_actor(server):
    body = {"name": "secret", "key": "k", "runner_name_selector": "default", "crash_policy": "sleep"}
    async with http(server) as own, http(server, **EVIL) as page:
        actor = (await own.put("/actors?namespace=default", json=body)).json()["actor"]["actor_id"]
        assert (await own.post(f"/gateway/{actor}/action/read", json={"args": []})).json() == {"output": "secret"}
        for method, path in (
            ("GET", f"/actors/{actor}/kv/keys/Aw==?namespace=default"), ("PUT", "/actors?namespace=default"), ("GET", "/health"),
            ("GET", "/metadata"), ("OPTIONS", "/actors"), ("OPTIONS", f"/gateway/{actor}/action/read"), ("GET", "/nowhere"),
            ("POST", f"/gateway/{actor}/action/read"), ("POST", f"/gateway/{actor}/inspector/database/execute"),
            ("GET", f"/gateway/{actor}/inspector/ui"), ("GET", f"/gateway/secret/request/x?{QUERY}"),
            ("DELETE", f"/actors/{actor}?namespace=default"),
        ):  # fmt: skip
            for headers in ({}, {"x-rivet-target": "actor", "x-rivet-actor": actor}, {"authorization": "Bearer x"}):
                answer = await page.request(method, path, headers=headers, json=None if method in ("GET", "OPTIONS") else {"args": []})
                assert (answer.status_code, error_of(answer)) == (403, "api.forbidden"), path
                assert not [name for name in answer.headers if name.startswith("access-control")]
        assert "--allow-origin" in answer.json()["message"]
        assert (await own.get(f"/actors?namespace=default&actor_ids={actor}")).json()["actors"][0]["destroy_ts"] is None
    assert Secret.woken == 1


async def test_no_page_of_elsewhere_opens_a_socket(server):
    by_path = f"/gateway/secret/connect?{QUERY}"
    hosts = ("Host: 127.0.0.1", "Host: evil.example", "Host: 127.0.0.1\r\nOrigin: null", "Host: 127.0.0.1\r\nSec-Fetch-Site: cross-site")
    for path, protocols in (
        (by_path, "rivet"),
        ("/connect", "rivet, rivet_target.actor, rivet_actor.x"),
        ("/health/ws", "rivet"),
        ("/", "rivet"),
    ):
        for host in hosts:
            more = {"Origin": "https://evil.example"} if host == hosts[0] else {}
            name, _, rest = host.partition(": ")
            request = handshake(path, Sec_WebSocket_Protocol=protocols, **{name: rest}, **more)
            head, _, body = (await exchange(server.port, request)).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 403"), (path, host, head)
            assert json.loads(body)["code"] == "forbidden"
            assert b"access-control" not in head.lower()
    assert Secret.woken == 0
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(f"ws://127.0.0.1:{server.port}{by_path}", subprotocols=["rivet"], origin="https://evil.example")
    assert b"--allow-origin" in refused.value.response.body


async def test_the_client_tells_why_it_was_refused(server):
    async with Client(server.url, headers=EVIL) as client:
        for call in (client.get_or_create("secret", ["k"]).action("read"), client.create("secret", "k"), client.ready()):
            with pytest.raises(ActorError, match=r"Access denied: pages of https://evil.example .*--allow-origin"):
                await call
    async with Client(server.url, headers=EVIL, metadata_lookup=False) as client:
        with pytest.raises(ActorError, match=r"HTTP 403: Access denied: pages of https://evil.example .*--allow-origin"):
            await client.get_or_create("secret", ["k"]).web_socket("/")


async def test_pages_of_this_machine_and_allowed_ones_do(server):
    page = "http://localhost:3000"
    socket = f"/gateway/secret/connect?{QUERY}"
    async with http(server, origin=page) as dev:
        answer = await dev.post(f"/gateway/secret/action/read?{QUERY}", json={"args": []})
        assert (answer.json(), answer.headers["access-control-allow-origin"]) == ({"output": "secret"}, page)
        assert (await dev.get("/metadata?namespace=default")).headers["access-control-allow-origin"] == page
    async with websockets.connect(f"ws://127.0.0.1:{server.port}{socket}", subprotocols=["rivet"], origin=page) as opened:
        assert opened.response.headers["access-control-allow-origin"] == page
    allowed = HostOptions(allow_origins=("https://evil.example",), allow_hosts=("e",))
    async with (
        InProcessServer(create_app(Registry(Secret), options=allowed)) as other,
        http(other, **EVIL, host="e:1") as elsewhere,
    ):
        assert (await elsewhere.get("/metadata")).headers["access-control-allow-origin"] == EVIL["origin"]
        assert (await elsewhere.get("/metadata", headers={"origin": "https://worse.example"})).status_code == 403


async def test_another_name_for_this_machine_is_no_way_in(server):
    for host, status in (
        ("evil.example", 403),
        (f"evil.example:{server.port}", 403),
        ("localhost", 200),
        ("[::1]:1", 200),
        ("0.0.0.0", 403),
    ):
        async with http(server, host=host) as page:
            assert (await page.get("/health")).status_code == status
    assert b" 200 " in await exchange(server.port, b"GET /health HTTP/1.0\r\n\r\n")
    for head in (b"Host: localhost\r\nHost: evil.example", b"Host: evil.example\r\nHost: localhost", b"Host: a@localhost"):
        assert b" 200 " not in await exchange(server.port, b"GET /health HTTP/1.1\r\n" + head + b"\r\n\r\n")


async def test_the_host_of_an_absolute_target_is_the_one_that_counts(server):
    for target, host, status in (("http://evil.example/", "localhost", 403), ("http://localhost/", "evil.example", 200)):
        answer = await exchange(server.port, f"GET {target}health HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 %d" % status), (target, answer)
    upgrade = handshake(f"http://evil.example/gateway/secret/connect?{QUERY}", Host="localhost", Sec_WebSocket_Protocol="rivet")
    assert (await exchange(server.port, upgrade)).startswith(b"HTTP/1.1 403")
    assert Secret.woken == 0


async def test_what_is_turned_away_uses_up_nothing_of_what_others_may_ask():
    few = HostOptions(rate_limits=RateLimits(requests=5))
    async with InProcessServer(create_app(Registry(Secret), options=few)) as server, http(server) as own, http(server, **EVIL) as page:
        for _ in range(10):
            assert (await page.get(f"/gateway/secret/request/y?{QUERY}")).status_code == 403
        assert (await own.get(f"/gateway/secret/health?{QUERY}")).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "0"])
async def test_a_server_for_other_machines_makes_a_token(host):
    async with InProcessServer(create_app(Registry(Secret)), host=host) as server, http(server) as client:
        assert not server.is_local
        assert len(server.token) >= 32
        for path in (
            "/namespaces",
            "/actors?namespace=default&name=secret",
            "/envoys?namespace=default",
            "/actors/x/kv/keys/Aw==?namespace=default",
        ):
            assert (await client.get(path)).status_code in (400, 403)
            assert error_of(await client.get(path)) in ("api.forbidden", "api.bad_request")
        assert error_of(await client.get("/namespaces", headers={"authorization": "Bearer x"})) == "api.forbidden"
        assert (await client.get("/namespaces", headers={"authorization": f"Bearer {server.token}"})).status_code == 200
        # Actors are asked without: they guard themselves (WIRE-029), and call each other as before.
        assert (await client.post(f"/gateway/secret/action/ask?{QUERY}", json={"args": []})).json() == {"output": "secret"}
        assert (await client.get("/health", headers={"host": "0.0.0.0"})).status_code == 403


async def test_a_token_that_was_given_is_kept_and_two_servers_have_two():
    tokens = set()
    for given in ("mine", None, ""):
        app = create_app(Registry(Secret), options=HostOptions(admin_token=given))
        async with InProcessServer(app, host="0.0.0.0") as server, http(server) as client:
            tokens.add(server.token)
            assert (await client.get("/namespaces", headers={"authorization": "Bearer x"})).status_code == 403
            if given:
                assert (await client.get("/namespaces", headers={"authorization": "Bearer mine"})).status_code == 200
    assert None in tokens
    assert len(tokens) == 3


async def test_loopback_needs_no_token_unless_a_proxy_passes_the_request_on(server):
    assert (server.token, server.is_local) == (None, True)
    async with http(server) as client:
        assert (await client.get("/namespaces")).status_code == 200
        for name in ("x-forwarded-for", "forwarded", "via"):
            assert "admin_token" in (await client.get("/namespaces", headers={name: "for=127.0.0.1"})).json()["message"]
    proxied = create_app(Registry(Secret), options=HostOptions(trusted_proxies=("127.0.0.1",)))
    async with InProcessServer(proxied) as behind, http(behind) as client:
        assert (behind.is_local, (await client.get("/namespaces")).status_code) == (False, 403)
        assert (await client.get("/namespaces", headers={"authorization": f"Bearer {behind.token}"})).status_code == 200


async def test_what_another_server_mounts_is_open_to_this_machine_alone():
    app = create_app(Registry(Secret))
    async with app.running():
        for address, status in (("192.168.1.5", 403), ("actors.example", 403), ("127.0.0.1", 200), ("localhost", 200)):
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{address}:8000") as client:
                answer = await client.get("/namespaces")
                assert answer.status_code == status
                assert status == 200 or "admin_token" in answer.json()["message"]
                assert (await client.get("/metadata")).status_code == 200


async def test_the_token_that_everybody_knows_is_for_this_machine():
    for options in (HostOptions(test_mode=True), HostOptions(inspector_token="token")):
        with pytest.raises(ValueError, match="test mode"):
            await InProcessServer(create_app(Registry(Secret), options=options), host="0.0.0.0").__aenter__()
        async with InProcessServer(create_app(Registry(Secret), options=options)):
            pass


@pytest.mark.parametrize(("host", "hook"), [("127.0.0.1", False), ("0.0.0.0", False), ("0.0.0.0", True)])
async def test_serving_says_whom(capsys, host, hook):
    ready, made = asyncio.Event(), []
    more = {"on_token": made.append} if hook else {}
    running = asyncio.create_task(serve(Registry(Secret), host=host, port=0, on_ready=lambda url: ready.set(), **more))
    await asyncio.wait_for(ready.wait(), 10)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    said = capsys.readouterr().err.splitlines()
    line = next(line for line in said if line.startswith("Serving 1 actor on http://127.0.0.1:"))
    assert line.endswith("this machine alone.") == (host == "127.0.0.1")
    assert ("(made for this run)" in line) == (host == "0.0.0.0" and not hook)
    assert len(made) == hook
