"""Suite raw-http-details: errors and their encoding, limits of time and size, requests that are given up or cut off."""

from __future__ import annotations

import asyncio

import pytest

from client.transport import error_of
from harness import any_encoding, encodings, requirement, suite, timing, untimed
from harness.testing.codecs import Encoding

pytestmark = [suite("raw-http-details"), timing]

SLOW = "sleepWithRawHttp"
GRACE = 15.0
"""The grace period of an actor that sets none, in seconds."""


async def slow_request(conform, duration_ms, timeout=120.0):
    """A raw request that takes its time, without the client's retries."""
    url = f"/gateway/{await conform.get_or_create(SLOW).resolve()}/request/long-request?duration={duration_ms}"
    return await conform.http.get(url, timeout=timeout)


async def requests_begun(conform, eventually):
    """Wait until the slow handler runs; returns the actor's handle."""
    actor = conform.get_or_create(SLOW)
    await eventually(lambda: actor.action("getCounts"), until=lambda counts: counts["requestCount"] == 1, what="the handler's start")
    return actor


@requirement("RAWHTTP-012", "ACCESS-003", "ACCESS-004")
@untimed
async def test_errors_come_in_the_encoding_asked_for(conform):
    """A masked failure of the handler and a refusal have their status and a body in the encoding of the request, json without one."""
    for name, params, expected in (
        ("rawHttpVoidReturnActor", None, (500, "rivetkit.internal_error", "An internal error occurred")),
        ("accessControlActor", {"allowRequest": False}, (403, "auth.forbidden", "Forbidden")),
    ):
        actor = conform.get_or_create(name, params=params)
        response = await actor.fetch("x")
        error = error_of(response, Encoding(conform.encoding))
        assert (response.status_code, error.name, error.message) == expected
        kind = "application/json" if conform.encoding == "json" else "application/octet-stream"
        assert response.headers["content-type"].startswith(kind)
        headers = {} if params is None else {"x-rivet-conn-params": '{"allowRequest":false}'}
        plain = await conform.http.get(f"/gateway/{await actor.resolve()}/request/x", headers=headers)
        assert (plain.status_code, f"{plain.json()['group']}.{plain.json()['code']}") == expected[:2]


@requirement("RAWHTTP-015", "WIRE-347")
@encodings("json")
@pytest.mark.timeout(90)
async def test_request_over_the_time_limit(conform, clock):
    """A request that takes longer than the default limit of an action is answered with 408; its handler was not run again."""
    started = clock.monotonic()
    response = await slow_request(conform, 65_000)
    clock.took(started, least=59.5, most=conform.limit(64))
    assert (response.status_code, response.json()["group"], response.json()["code"]) == (408, "actor", "action_timed_out")
    assert await conform.get_or_create(SLOW).action("getCounts") == {"startCount": 1, "sleepCount": 0, "requestCount": 1}


@requirement("RAWHTTP-017")
@any_encoding
@untimed
async def test_oversized_response_is_refused(conform):
    """A response of more than 20 MiB is refused with 502; the actor serves on."""
    actor_id = await conform.get_or_create("rawHttpRequestPropertiesActor").resolve()
    url = f"/gateway/{actor_id}/request/x"
    fits = await conform.http.post(url, content=b"x" * 1_000_000, headers={"content-type": "text/plain"})
    assert fits.json()["bodyText"] == "x" * 1_000_000
    # The fixture answers with the body twice.
    response = await conform.http.post(url, content=b"x" * 11_000_000, headers={"content-type": "text/plain"})
    assert (response.status_code, response.json()["group"], response.json()["code"]) == (502, "guard", "invalid_response_body")
    assert (await conform.http.get(url)).status_code == 200


@requirement("RAWHTTP-019", "RAWHTTP-020")
async def test_given_up_request_runs_on(conform, boundary, eventually, clock):
    """The handler of a request whose client left keeps its actor awake until it ends, and ends by itself."""
    pending = conform.spawn(slow_request(conform, 4000))
    actor = await requests_begun(conform, eventually)
    actor_id = await actor.resolve()
    pending.cancel()
    await asyncio.wait({pending})
    await clock.sleep(3)
    assert not await boundary.is_asleep(actor_id)
    await boundary.sleep(actor, via="idle")
    assert await conform.get_or_create(SLOW).action("getCounts") == {"startCount": 2, "sleepCount": 1, "requestCount": 1}


@requirement("RAWHTTP-020", "WIRE-211")
async def test_request_within_grace_is_answered(conform, boundary, eventually):
    """A request running at a sleep order is answered by its generation, which ends after it."""
    pending = conform.spawn(slow_request(conform, 1500))
    actor = await requests_begun(conform, eventually)
    await conform.rest.sleep_actor(await actor.resolve())
    response = await pending
    assert (response.status_code, response.json()) == (200, {"completed": True})
    await boundary.sleep(conform.get_or_create(SLOW), via="idle")
    assert await conform.get_or_create(SLOW).action("getCounts") == {"startCount": 2, "sleepCount": 1, "requestCount": 1}


@requirement("RAWHTTP-021")
@encodings("json")
async def test_request_is_cut_off_at_the_grace_deadline(conform, eventually, clock):
    """A request still running then does not hold the generation any longer; it is answered, with an error or by the next generation."""
    pending = conform.spawn(slow_request(conform, 25_000))
    actor = await requests_begun(conform, eventually)
    await conform.rest.sleep_actor(await actor.resolve())
    started = clock.monotonic()
    counts = await eventually(
        lambda: conform.get_or_create(SLOW).action("getCounts"),
        until=lambda found: found["startCount"] == 2,
        timeout=GRACE + 5,
        what="the next generation",
    )
    clock.took(started, least=GRACE - 1, most=conform.limit(GRACE + 5))
    assert counts["sleepCount"] == 1
    response = await pending
    assert response.status_code in (200, 500, 503)
