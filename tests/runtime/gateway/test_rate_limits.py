"""Limits of creations, requests and messages per caller (WIRE-091, WIRE-268, WIRE-269)."""

import asyncio
import json

import pytest
from websockets.asyncio.client import connect

from runtime import NO_RATE_LIMITS, Actor, Context, HostOptions, RateLimits, Registry, action
from runtime.gateway.rate_limits import LeakyBucket, RequestLimit
from tests.runtime.gateway.support import serving


class Probe(Actor):
    name = "probe"

    @action
    async def wait(self, c: Context, seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "done"

    def on_web_socket(self, c, socket):
        socket.on("message", lambda event: socket.send(event.data))


class Time:
    now = 100.0


@pytest.fixture
def time(monkeypatch):
    """The clock of the limits, to be set forward."""
    time = Time()
    monkeypatch.setattr("runtime.gateway.rate_limits.clock.monotonic", lambda: time.now)
    return time


def limited(**limits):
    return HostOptions(rate_limits=RateLimits(**limits))


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


def test_the_window_passes_and_addresses_are_apart(time):
    limit = RequestLimit(RateLimits(requests=1, request_window=60))
    limit.count("a", "GET", b"/")
    limit.count("b", "GET", b"/")
    with pytest.raises(Exception, match="Too many requests to 'GET /x' from IP a"):
        limit.count("a", "GET", b"/x")
    time.now += 60
    limit.count("a", "GET", b"/")


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


def test_silent_addresses_are_forgotten(time, monkeypatch):
    monkeypatch.setattr("runtime.gateway.rate_limits.SWEEP_ABOVE", 3)
    limit = RequestLimit(RateLimits(requests=1, request_window=60))
    with limit.running("busy"):
        for name in "ab":
            limit.count(name, "GET", b"/")
        time.now += 60
        limit.count("c", "GET", b"/")
        assert set(limit._callers) == {"busy", "c"}


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
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(put(http, f"k{number}")) for number in range(520)]
        assert {task.result().status_code for task in tasks} == {200}
