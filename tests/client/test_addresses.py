"""What goes over the wire for which handle: URLs, headers, sub-protocols."""

from __future__ import annotations

import json

import pytest

from client import ActorError, ConfigurationError, HttpFailureError
from runtime.protocol.encodings import Encoding
from runtime.protocol.http_bodies import decode_action_request, decode_queue_request
from tests.client.gateway import error, text

pytestmark = pytest.mark.virtual_time

QUERY = "rvt-namespace=ns&rvt-method=getOrCreate&rvt-runner=pool&rvt-key=a%2Cb&rvt-crash-policy=sleep&rvt-token=t%2F1"


@pytest.fixture
async def named(new_client):
    return await new_client(namespace="ns", token="t/1", pool="pool", headers={"x-extra": "yes"})


@pytest.mark.parametrize("encoding", list(Encoding))
async def test_action_request(gateway, new_client, encoding):
    client = await new_client(encoding=encoding)
    handle = client.get_or_create("counter", ["a"], params={"who": "me"})
    assert await handle.calculator.add(1, {"b": None}) == "calculator.add"
    (asked,) = gateway.asked
    assert (asked.method, asked.target) == ("POST", "/gateway/id-1/action/calculator.add")
    assert asked.headers["x-rivet-encoding"] == encoding
    assert json.loads(asked.headers["x-rivet-conn-params"]) == {"who": "me"}
    assert decode_action_request(asked.body, encoding) == [1, {"b": None}]


async def test_headers(gateway, named):
    await named.get_or_create("counter", ["a"]).action("with/slash")
    rest, (asked,) = gateway.rest[0], gateway.asked
    assert rest.target == "/actors?namespace=ns"
    assert rest.headers["authorization"] == "Bearer t/1"
    assert json.loads(rest.body) == {"name": "counter", "key": "a", "runner_name_selector": "pool", "crash_policy": "sleep"}
    assert asked.target == "/gateway/id-1@t%2F1/action/with%2Fslash"
    assert asked.headers["x-rivet-token"] == "t/1"
    assert "x-rivet-conn-params" not in asked.headers
    for one in (rest, asked):
        assert one.headers["x-extra"] == "yes"
        assert one.headers["user-agent"].startswith("RivetKit/")


async def test_an_endpoint_prefix_stays_in_front(gateway, new_client):
    client = await new_client(endpoint=f"{gateway.url}/pre/fix/")
    handle = client.get_or_create("counter")
    await handle.ping()
    await handle.web_socket("x")
    assert gateway.lookups[0].path == "/pre/fix/metadata"
    assert gateway.rest[0].path == "/pre/fix/actors"
    assert gateway.asked[0].path == "/pre/fix/gateway/id-1/action/ping"
    assert gateway.peers[0].target.startswith("/pre/fix/gateway/counter/websocket/x?rvt-")


async def test_gateway_url(gateway, named):
    handle = named.get_or_create("counter", ["a", "b"])
    assert handle.gateway_url() == f"{gateway.url}/gateway/counter?{QUERY}"
    assert named.get_for_id("counter", "id-7").gateway_url() == f"{gateway.url}/gateway/id-7@t%2F1"
    assert (gateway.asked, gateway.rest, gateway.lookups) == ([], [], [])


async def test_resolve(gateway, client):
    assert await client.get_for_id("counter", "id-7").resolve() == "id-7"
    assert gateway.rest == []
    assert await client.get_or_create("counter", "a", region="here", input={"n": 0}, pool="other").resolve() == "id-1"
    body = json.loads(gateway.rest[0].body)
    assert (body["datacenter"], body["runner_name_selector"]) == ("here", "other")
    assert "input" in body
    assert await client.get("counter", ["x", "y"]).resolve() == "id-1"
    assert gateway.rest[1].target == "/actors?namespace=default&name=counter&key=x%2Fy"
    gateway.missing = True
    with pytest.raises(ActorError) as missing:
        await client.get("counter", ["x", "y"]).resolve()
    assert missing.value.name == "actor.not_found"
    assert missing.value.message == 'Actor not found: counter:["x", "y"] (https://www.rivet.dev/docs/clients/javascript)'


async def test_create(gateway, client):
    handle = await client.create("counter", "a", input=1)
    assert [asked.method for asked in gateway.rest] == ["POST"]
    await handle.ping()
    assert gateway.asked[0].path == "/gateway/id-1/action/ping"
    gateway.rest_answers += [error("actor.duplicate_key", metadata={"key": "a"})]
    with pytest.raises(ActorError) as taken:
        await client.create("counter", "a")
    assert (taken.value.name, taken.value.metadata, taken.value.status) == ("actor.duplicate_key", {"key": "a"}, 400)


async def test_skip_ready_wait_on_a_key(gateway, named):
    handle = named.get_or_create("counter", ["a", "b"], skip_ready_wait=True)
    await handle.ping()
    await handle.fetch("x?y=1")
    await handle.web_socket()
    assert gateway.rest == []
    first, second = gateway.asked
    assert first.target == f"/gateway/counter/action/ping?{QUERY}&rvt-skip-ready-wait=true"
    assert second.target == f"/gateway/counter/request/x?y=1&{QUERY}&rvt-skip-ready-wait=true"
    assert {one.headers["x-rivet-skip-ready-wait"] for one in gateway.asked} == {"1"}
    assert gateway.peers[0].target == f"/gateway/counter/websocket/?{QUERY}&rvt-skip-ready-wait=true"


async def test_skip_ready_wait_on_an_id(gateway, named):
    handle = named.get_for_id("counter", "id-7", skip_ready_wait=True)
    await handle.fetch("x?y=1")
    await handle.ping()
    await handle.web_socket("chat")
    async with handle.connect():
        pass
    raw, action = gateway.asked
    assert raw.target == "/request/x?y=1"
    assert action.target == "/gateway/id-7@t%2F1/action/ping"
    for one in gateway.asked:
        assert (one.headers["x-rivet-target"], one.headers["x-rivet-actor"], one.headers["x-rivet-skip-ready-wait"]) == (
            "actor",
            "id-7",
            "1",
        )
    routing = ["rivet_target.actor", "rivet_actor.id-7", "rivet_token.t%2F1", "rivet_skip_ready_wait"]
    assert [peer.target for peer in gateway.peers] == ["/websocket/chat", "/connect"]
    assert all(peer.protocols == ["rivet", "rivet_encoding.bare", *routing] for peer in gateway.peers)


async def test_sockets_of_dynamic_handles_use_the_query(gateway, client):
    handle = client.get_or_create("counter", "a", params={"a": 1})
    async with handle.connect():
        pass
    socket = await handle.web_socket("/chat?room=1", protocols=["mine"])
    await socket.close()
    query = "rvt-namespace=default&rvt-method=getOrCreate&rvt-runner=default&rvt-key=a&rvt-crash-policy=sleep"
    connected, raw = gateway.peers
    assert gateway.rest == []
    assert connected.target == f"/gateway/counter/connect?{query}"
    assert raw.target == f"/gateway/counter/websocket/chat?room=1&{query}"
    assert connected.protocols == ["rivet", "rivet_encoding.bare", "rivet_conn_params.%7B%22a%22%3A1%7D"]
    assert raw.protocols == [*connected.protocols, "mine"]


async def test_fetch(gateway, client):
    handle = client.get_or_create("counter", "a", params=[1])
    response = await handle.fetch("/path/x?q=1", method="PUT", json={"a": 1}, headers={"X-Mine": "1", "X-Rivet-Conn-Params": "[2]"})
    (asked,) = gateway.asked
    assert (asked.method, asked.target, asked.body) == ("PUT", "/gateway/id-1/request/path/x?q=1", b'{"a":1}')
    assert (asked.headers["x-mine"], asked.headers["x-rivet-conn-params"]) == ("1", "[2]")
    assert asked.headers["content-type"] == "application/json"
    assert response.text == "raw"


async def test_too_large_input_fails_the_query_url_only(gateway, client):
    handle = client.get_or_create("counter", "a", input="x" * 5000)
    assert await handle.ping() == "ping"
    text = r"Actor query input exceeds maxInputSize \(5003 > 4096 bytes\). Increase client maxInputSize to allow larger query payloads."
    with pytest.raises(ConfigurationError, match=text):
        handle.gateway_url()
    with pytest.raises(ConfigurationError, match=text):
        await handle.web_socket()
    with pytest.raises(ActorError, match=text) as failed:
        await handle.connect().ready()
    assert failed.value.name == "client.connection_open_failed"


async def test_queue_request(gateway, client):
    handle = client.get_or_create("counter", "a")
    assert await handle.send("my queue", {"n": 1}) is None
    result = await handle.send("q", None, wait=True, timeout=1.5)
    assert (result.status, result.response) == ("completed", "done")
    first, second = gateway.asked
    assert first.path == "/gateway/id-1/queue/my%20queue"
    sent = decode_queue_request(first.body, Encoding.BARE)
    assert (sent.body, sent.wait, sent.timeout_ms) == ({"n": 1}, False, None)
    sent = decode_queue_request(second.body, Encoding.BARE)
    assert (sent.body, sent.wait, sent.timeout_ms) == (None, True, 1500)


async def test_unstructured_failures_are_plain_errors(gateway, client):
    gateway.answers += [text(502, "Bad Gateway"), text(200, "no bare message")]
    handle = client.get_or_create("counter", "a")
    with pytest.raises(HttpFailureError, match=r"502.*ray.*Bad Gateway") as failed:
        await handle.ping()
    assert (failed.value.status, failed.value.ray, failed.value.text) == (502, "ray", "Bad Gateway")
    with pytest.raises(HttpFailureError, match="no bare message"):
        await handle.ping()


async def test_an_endpoint_without_a_server(new_client):
    client = await new_client(endpoint="http://127.0.0.1:9", metadata_lookup=False)
    with pytest.raises(ActorError) as failed:
        await client.get_for_id("counter", "id").web_socket()
    assert failed.value.name == "client.connection_open_failed"
