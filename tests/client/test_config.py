"""Where a client goes and as whom."""

from __future__ import annotations

import asyncio

import pytest

from client import Client, ClientDisposedError, ConfigurationError
from client.config import ClientConfig
from tests.client.gateway import error, text

pytestmark = pytest.mark.virtual_time


def config(endpoint=None, **options):
    defaults = {
        "namespace": None, "token": None, "pool": None, "encoding": "bare", "headers": None,
        "max_input_size": 4096, "skip_ready_wait": False, "metadata_lookup": True,
    }  # fmt: skip
    return ClientConfig.of(endpoint, **{**defaults, **options})


def test_defaults():
    found = config()
    assert (found.endpoint, found.namespace, found.token, found.pool) == ("http://localhost:6420", "default", None, "default")


def test_environment(monkeypatch):
    monkeypatch.setenv("RIVET_ENDPOINT", "http://second:1")
    assert config().endpoint == "http://second:1"
    for name, value in {"ENGINE": "http://first:1/", "NAMESPACE": "ns", "TOKEN": "tok", "POOL": "pool"}.items():
        monkeypatch.setenv(f"RIVET_{name}", value)
    found = config()
    assert (found.endpoint, found.namespace, found.token, found.pool) == ("http://first:1", "ns", "tok", "pool")


def test_credentials_in_the_endpoint_are_decoded_and_removed():
    found = config("https://my%2Fns:to%3Aken@host:8443/prefix/")
    assert (found.endpoint, found.namespace, found.token) == ("https://host:8443/prefix", "my/ns", "to:ken")


@pytest.mark.parametrize(
    ("endpoint", "options"),
    [
        ("http://host/?a=1", {}),
        ("http://host/#part", {}),
        ("http://:token@host", {}),
        ("http://ns@host", {"namespace": "other"}),
        ("http://ns:one@host", {"token": "two"}),
        ("ftp://host", {}),
        ("host:80", {}),
        ("http://host", {"encoding": "xml"}),
    ],
)
def test_contradictory_or_malformed_settings(endpoint, options):
    with pytest.raises(ConfigurationError):
        config(endpoint, **options)


async def test_concurrent_first_operations_share_one_lookup(gateway, client):
    handle = client.get_or_create("counter", "a")
    assert await asyncio.gather(handle.one(), handle.two(), client.create("counter", "b"))
    assert [asked.target for asked in gateway.lookups] == ["/metadata?namespace=default"]


async def test_lookup_is_retried_with_back_off(gateway, client):
    gateway.metadata_answers += [text(503, "starting"), error("core.internal_error", status=500), *[text(200, "no json")] * 6]
    assert await client.get_or_create("counter").ping() == "ping"
    gaps = [later.at - earlier.at for earlier, later in zip(gateway.lookups, gateway.lookups[1:], strict=False)]
    assert gaps == pytest.approx([0.5, 1, 2, 4, 8, 15, 15, 15], abs=0.1)


async def test_a_server_that_has_decided_not_to_answer_is_not_asked_for_ever(gateway, client):
    gateway.metadata_answers += [error("api.forbidden", "not you", status=403)]
    calls = (client.get_or_create("counter").ping(), client.create("counter", "b"), client.ready())
    failures = await asyncio.gather(*calls, return_exceptions=True)
    assert [(failure.name, failure.message) for failure in failures] == [("api.forbidden", "not you")] * 3
    assert (len(gateway.lookups), gateway.asked) == (1, [])
    assert await client.get_or_create("counter").ping() == "ping"


async def test_lookup_redirects(gateway, new_client):
    gateway.metadata |= {"clientEndpoint": f"{gateway.url}/moved/", "clientNamespace": "elsewhere", "clientToken": "key"}
    client = await new_client()
    await client.get_or_create("counter").ping()
    assert gateway.rest[0].target == "/moved/actors?namespace=elsewhere"
    assert gateway.rest[0].headers["authorization"] == "Bearer key"
    assert gateway.asked[0].target == "/moved/gateway/id-1@key/action/ping"


async def test_lookup_can_be_switched_off(gateway, new_client):
    client = await new_client(metadata_lookup=False)
    await client.get_or_create("counter").ping()
    assert gateway.lookups == []


async def test_dispose_ends_what_waits_for_the_lookup(gateway):
    gateway.metadata_answers += [text(503, "starting")] * 99
    client = Client(gateway.url)
    waiting = [asyncio.create_task(client.get_or_create("counter").ping()), asyncio.create_task(client.ready())]
    await asyncio.sleep(1)
    await client.dispose()
    await client.dispose()
    for task in waiting:
        with pytest.raises(ClientDisposedError):
            await task
    with pytest.raises(ClientDisposedError):
        await client.get_or_create("counter").ping()
    with pytest.raises(ClientDisposedError):
        await client.rest.list_actors(name="counter")
    with pytest.raises(ClientDisposedError):
        await client.get_or_create("counter").connect().ready()


async def test_a_cancelled_caller_leaves_the_lookup_to_the_others(gateway, client):
    gateway.metadata_answers += [text(503, "starting")]
    first, second = (asyncio.create_task(client.ready()) for _ in range(2))
    await asyncio.sleep(0.1)
    first.cancel()
    await second
    assert first.cancelled()
    assert len(gateway.lookups) == 2
