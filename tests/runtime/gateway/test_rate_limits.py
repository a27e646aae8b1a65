"""Limits of creations, requests and messages per caller (WIRE-091, WIRE-268, WIRE-269)."""

import asyncio
import json

import pytest
from websockets.asyncio.client import connect

from runtime import NO_RATE_LIMITS, Actor, Context, HostOptions, RateLimits, Registry, Response, action
from runtime.gateway.rate_limits import LeakyBucket
from runtime.gateway.request_limit import RequestLimit
from tests.runtime.gateway.support import OPEN, serving


class Probe(Actor):
    name = "probe"

    @action
    async def wait(self, c: Context, seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "done"

    def on_web_socket(self, c, socket):
        socket.on("message", lambda event: socket.send(event.data))

    def on_request(self, c, request):
        return Response(json.dumps(dict(request.headers)))

    @action
    async def ask(self, c: Context, times: int) -> list[str]:
        other = c.client().get_or_create("probe", ["other"])
        async with other.connect() as conn:
            return [await other.wait(0) for _ in range(times)] + [await conn.wait(0) for _ in range(times)]

    @action
    async def seen_by_the_other(self, c: Context) -> str:
        return (await c.client().get_or_create("probe", ["other"]).fetch("/")).text


class Time:
    now = 100.0


@pytest.fixture
def time(monkeypatch):
    """The clock of the limits, to be set forward."""
    time = Time()
    monkeypatch.setattr("runtime.gateway.rate_limits.clock.monotonic", lambda: time.now)
    return time


def limited(**limits):
    return HostOptions(rate_limits=RateLimits(**limits), **OPEN)


def body(key):
    return {"name": "probe", "key": key, "runner_name_selector": "default", "crash_policy": "sleep"}


async def put(http, key, namespace="default"):
    return await http.put("/actors", params={"namespace": namespace}, json=body(key))


def test_the_defaults_are_those_of_the_specification():
    limits = RateLimits()
    assert (limits.creation_burst, limits.creation_interval) == (500, 0.01)
    assert (limits.message_burst, limits.message_interval) == (2000, 0.01)
    assert (limits.requests, limits.request_window, limits.requests_in_flight) == (10_000, 60.0, 2000)
    assert HostOptions().rate_limits == limits


@pytest.mark.parametrize("member", ["creation_burst", "message_interval", "requests", "request_window"])
def test_limits_are_positive(member):
    with pytest.raises(ValueError, match=f"rate limit {member} must be positive"):
        RateLimits(**{member: 0})


def test_a_bucket_leaks(time):
    bucket = LeakyBucket(2, 0.01)
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    assert bucket.delay() == pytest.approx(0.01)
    time.now += bucket.delay()
    assert [bucket.take(), bucket.take()] == [True, False]
    time.now += 10
    assert [bucket.take() for _ in range(3)] == [True, True, False]


async def test_creations_are_limited_per_namespace():
    async with serving(Registry(Probe), limited(creation_burst=3, creation_interval=60)) as http:
        await http.post("/namespaces", json={"name": "other", "display_name": "Other"})
        await http.put("/runner-configs/default", params={"namespace": "other"}, json={"datacenters": {"default": {"normal": {}}}})
        assert [(await put(http, f"k{number}")).status_code for number in range(3)] == [200, 200, 200]
        refused = await put(http, "k3")
        assert (refused.status_code, refused.json()["group"], refused.json()["code"]) == (400, "actor", "creation_rate_limit")
        assert refused.json()["message"] == "Too many actors created at once. Try again later."
        assert (await put(http, "k0")).json()["created"] is False
        url = "/gateway/probe/action/wait?rvt-namespace=default&rvt-method=getOrCreate&rvt-pool=default&rvt-key=k3"
        through = await http.post(url, json={"args": [0]})
        assert (through.status_code, through.json()["code"]) == (429, "creation_rate_limit")
        assert (await put(http, "k3", "other")).status_code == 200


async def test_requests_are_limited_per_window():
    async with serving(Registry(Probe), limited(requests=3, request_window=3600)) as http:
        assert [(await http.get("/metadata")).status_code for _ in range(3)] == [200, 200, 200]
        refused = await http.get("/gateway/x/action/y?z=1", headers={"origin": "https://a.example"})
        assert (refused.status_code, refused.json()["group"], refused.json()["code"]) == (429, "guard", "rate_limit")
        assert refused.json()["message"] == "Too many requests to 'GET /gateway/x/action/y' from IP 127.0.0.1."
        assert refused.headers["access-control-allow-origin"] == "https://a.example"
        assert refused.headers["x-rivet-ray-id"]
        async with connect(f"ws://127.0.0.1:{http.port}/gateway/x/websocket/", subprotocols=["rivet"], proxy=None) as socket:
            await socket.wait_closed()
            assert socket.close_code == 1011
            assert socket.close_reason.startswith("guard.rate_limit#")


async def test_requests_in_flight_are_limited():
    async with serving(Registry(Probe), limited(requests_in_flight=2)) as http:
        actor_id = (await put(http, "k")).json()["actor"]["actor_id"]
        slow = [asyncio.create_task(http.post(f"/gateway/{actor_id}/action/wait", json={"args": [1]})) for _ in range(2)]
        refused = 200
        async with asyncio.timeout(5):
            while refused == 200:
                refused = (await http.get("/health")).status_code
        assert refused == 429
        assert [(await task).json() for task in slow] == [{"output": "done"}] * 2
        assert (await http.get("/health")).status_code == 200


async def test_messages_are_slowed_down_and_none_is_lost():
    async with serving(Registry(Probe), limited(message_burst=5, message_interval=0.02)) as http:
        actor_id = (await put(http, "k")).json()["actor"]["actor_id"]
        loop = asyncio.get_running_loop()
        async with connect(f"ws://127.0.0.1:{http.port}/gateway/{actor_id}/websocket/", subprotocols=["rivet"], proxy=None) as socket:
            began = loop.time()
            for number in range(20):
                await socket.send(json.dumps(number))
            assert [json.loads(await socket.recv()) for _ in range(20)] == list(range(20))
            assert loop.time() - began >= 15 * 0.02 - 0.01


async def test_limits_can_be_switched_off():
    async with serving(Registry(Probe), HostOptions(rate_limits=NO_RATE_LIMITS)) as http:
        assert (await put(http, "k")).status_code == 200
    limit = RequestLimit(NO_RATE_LIMITS)
    with limit.running("a"):
        for _ in range(10_001):
            limit.count("a", "GET", b"/")


async def test_actors_that_call_each_other_have_no_budget_to_use_up():
    """Neither their own nor that of everybody else who comes from the same address."""
    async with serving(Registry(Probe), limited(requests=5, request_window=3600, requests_in_flight=1, message_burst=2)) as http:
        actor_id = (await put(http, "k")).json()["actor"]["actor_id"]
        asked = await http.post(f"/gateway/{actor_id}/action/ask", json={"args": [8]})
        assert asked.json() == {"output": ["done"] * 16}
        seen = (await http.post(f"/gateway/{actor_id}/action/seen_by_the_other", json={"args": []})).json()["output"]
        assert "user-agent" in seen and "x-rivet-loopback" not in seen
        assert [(await http.get("/health", headers={"x-rivet-loopback": "guessed"})).status_code for _ in range(3)] == [200, 200, 429]


async def test_behind_a_named_proxy_each_client_has_its_own_budget():
    options = HostOptions(rate_limits=RateLimits(requests=2, request_window=3600), trusted_proxies=("127.0.0.0/8",))
    async with serving(Registry(Probe), options) as http:

        async def ask(address):
            return [(await http.get("/health", headers={"x-forwarded-for": address})).status_code for _ in range(3)]

        assert [await ask(address) for address in ("192.0.2.1", "9.9.9.9, 192.0.2.2", "2001:db8::1")] == [[200, 200, 429]] * 3
        assert (await ask("2001:db8::2")) == [429] * 3
        refused = await http.get("/health", headers={"x-forwarded-for": "192.0.2.1"})
        assert refused.json()["message"] == "Too many requests to 'GET /health' from IP 192.0.2.1."


async def test_a_forwarded_address_of_nobody_who_was_named_is_no_budget():
    async with serving(Registry(Probe), limited(requests=3, request_window=3600)) as http:
        answers = [(await http.get("/health", headers={"x-forwarded-for": f"192.0.2.{number}"})).status_code for number in range(5)]
        assert answers == [200, 200, 200, 429, 429]
