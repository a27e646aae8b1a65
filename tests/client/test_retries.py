"""The transparent retries of handles: which errors, how often, after how long, through which URL."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from client import ActorError, HttpFailureError
from runtime.protocol.encodings import Encoding
from runtime.protocol.http_bodies import decode_queue_request
from tests.client.gateway import error, success, text

pytestmark = pytest.mark.virtual_time

OVERLOADED = {"channel": "dispatch_inbox", "operation": "dispatch_queue_send", "capacity": 1024}


def gaps(asked):
    return [later.at - earlier.at for earlier, later in itertools.pairwise(asked)]


def directly(asked):
    return asked.path.startswith("/gateway/id-")


@pytest.mark.parametrize("name", ["actor.restarting", "guard.service_unavailable", "guard.actor_wake_retries_exceeded",
    "guard.actor_stopped_while_waiting", "guard.tunnel_request_aborted", "guard.tunnel_message_timeout",
    "guard.tunnel_response_closed", "guard.gateway_response_start_timeout"])  # fmt: skip
async def test_outer_loop(gateway, client, name):
    gateway.answers += [error(name)] * 4
    assert await client.get_for_id("counter", "id-7").ping() == "ping"
    assert gaps(gateway.asked) == pytest.approx([0.025, 0.05, 0.1, 0.2], abs=0.02)
    gateway.answers += [error(name)] * 5
    with pytest.raises(ActorError) as failed:
        await client.get_for_id("counter", "id-7").ping()
    assert failed.value.name == name
    assert not gateway.answers


@pytest.mark.parametrize(
    "answer",
    [
        error("actor.internal_error", "Actor is stopping"),
        error("actor.stopping", "Actor stopping: Cannot accept new connections while actor is stopping"),
        text(500, "Actor 5jxlv5-a stopped"),
    ],
)
async def test_outer_loop_knows_legacy_texts(gateway, client, answer):
    gateway.answers += [answer]
    assert await client.get_for_id("counter", "id-7").ping() == "ping"
    assert len(gateway.asked) == 2


@pytest.mark.parametrize(
    "answer",
    [
        error("user.denied"),
        error("actor.stopped"),
        error("actor.internal_error", "Actor is stopping: database accessed after actor stopped"),
        error("actor.stopping", "database accessed after actor stopped"),
        error("actor.not_found"),
        error("guard.actor_ready_timeout"),
        text(500, "Actor 5jxlv5 stopped working"),
    ],
)
async def test_what_fixed_ids_never_retry(gateway, client, answer):
    gateway.answers += [answer]
    with pytest.raises((ActorError, HttpFailureError)):
        await client.get_for_id("counter", "id-7").ping()
    assert len(gateway.asked) == 1


@pytest.mark.parametrize(
    "code", ["not_found", "starting", "stopping", "not_configured", "dropped_reply", "destroying", "destroyed_while_waiting_for_ready"]
)
async def test_stale_errors_go_on_through_the_query(gateway, client, code):
    handle = client.get_or_create("counter", "a")
    gateway.answers += [error(f"actor.{code}")] * 2
    assert await handle.ping() == "ping"
    assert [directly(asked) for asked in gateway.asked] == [True, False, False]
    assert gaps(gateway.asked) == pytest.approx([0.1, 0.1], abs=0.02)
    assert len(gateway.rest) == 1
    await handle.ping()
    assert len(gateway.rest) == 2, "the id was resolved anew"
    assert gateway.asked[-1].path == "/gateway/id-2/action/ping"


@pytest.mark.parametrize(("kind", "attempts"), [("get", 24), ("get_or_create", 60)])
async def test_inner_loop_gives_up(gateway, client, kind, attempts):
    gateway.answers += [error("actor.not_found")] * 99
    with pytest.raises(ActorError, match="no") as failed:
        await getattr(client, kind)("counter", "a").ping()
    assert failed.value.name == "actor.not_found"
    assert len(gateway.asked) == attempts


async def test_a_missing_key_is_looked_for_through_the_query(gateway, client):
    gateway.missing = True
    gateway.answers += [error("actor.not_found")] * 10
    assert await client.get("counter", "a").ping() == "ping"
    assert len(gateway.rest) == 1
    assert not any(directly(asked) for asked in gateway.asked)
    assert len(gateway.asked) == 11


async def test_start_failures_tell_the_reason(gateway, client):
    handle = client.get_or_create("counter", "a")
    gateway.answers += [error("guard.actor_ready_timeout")]
    gateway.record = {"error": {"crashed": {"message": "boom"}}}
    with pytest.raises(ActorError) as failed:
        await handle.ping()
    assert failed.value.name == "guard.actor_ready_timeout"
    assert failed.value.message == 'Actor failed to start (id-1): {"crashed":{"message":"boom"}}'
    assert failed.value.metadata == {"actorId": "id-1", "details": {"crashed": {"message": "boom"}}}


@pytest.mark.parametrize("name", ["guard.actor_ready_timeout", "guard.actor_runner_failed"])
async def test_start_failures_without_a_reason_are_retried(gateway, client, name):
    gateway.answers += [error(name)] * 2
    assert await client.get_or_create("counter", "a").ping() == "ping"
    assert [directly(asked) for asked in gateway.asked] == [True, False, False]


async def test_outer_and_inner_loop_together(gateway, client):
    gateway.answers += [error("actor.stopping"), error("actor.restarting"), error("actor.starting")]
    assert await client.get_or_create("counter", "a").ping() == "ping"
    assert [directly(asked) for asked in gateway.asked] == [True, False, True, False]


async def test_fixed_id_reports_destruction_as_not_found(gateway, client):
    gateway.answers += [error("actor.destroyed_while_waiting_for_ready")]
    with pytest.raises(ActorError) as failed:
        await client.get_for_id("counter", "id-7").ping()
    assert failed.value.name == "actor.not_found"


async def test_first_calls_share_one_resolution(gateway, client):
    release = asyncio.Event()

    async def slow(asked):
        await release.wait()
        return gateway._actors(asked)

    gateway.rest_answers += [slow]
    handle = client.get_or_create("counter", "a")
    calls = [asyncio.create_task(handle.ping()) for _ in range(3)]
    while not gateway.rest:  # noqa: ASYNC110 - virtual time
        await asyncio.sleep(0.001)
    calls[0].cancel()
    release.set()
    assert await asyncio.gather(*calls[1:]) == ["ping", "ping"]
    assert calls[0].cancelled()
    assert await handle.resolve() == "id-1"
    assert len(gateway.rest) == 1


async def test_a_failed_resolution_is_not_remembered(gateway, client):
    gateway.rest_answers += [error("actor.no_runner_config_configured")]
    handle = client.get_or_create("counter", "a")
    with pytest.raises(ActorError, match="no_runner_config_configured"):
        await handle.ping()
    assert await handle.ping() == "ping"


async def test_destroy_is_tried_once(gateway, client):
    gateway.answers += [error("actor.stopping"), error("actor.restarting")]
    handle = client.get_or_create("counter", "a")
    for name in ("actor.stopping", "actor.restarting"):
        with pytest.raises(ActorError) as failed:
            await handle.destroy()
        assert failed.value.name == name
    assert len(gateway.asked) == 2


async def test_destroy_waits_until_the_actor_is_gone(gateway, client):
    handle, loop = client.get_or_create("counter", "a"), asyncio.get_running_loop()
    began = loop.time()
    assert await handle.destroy() == "destroy"
    assert loop.time() - began == pytest.approx(1.0, abs=0.1)
    polls = gateway.rest[1:]
    assert {asked.target for asked in polls} == {"/actors?namespace=default&actor_ids=id-1"}
    assert len(polls) == pytest.approx(40, abs=4)
    gateway.record = {"destroy_ts": 5}
    began, before = loop.time(), len(gateway.rest)
    await client.get_for_id("counter", "id-1").destroy()
    assert len(gateway.rest) == before + 1
    gateway.rest_answers += [text(500, "down")]
    assert await client.get_for_id("counter", "id-1").destroy() == "destroy"


async def test_queue_overload_is_retried_on_the_same_id(gateway, client):
    gateway.answers += [error("actor.overloaded", metadata=OVERLOADED)] * 3
    handle = client.get_or_create("counter", "a")
    await handle.send("q", 1)
    assert all(directly(asked) for asked in gateway.asked)
    assert gaps(gateway.asked) == pytest.approx([0.1] * 3, abs=0.02)
    assert len(gateway.rest) == 1


@pytest.mark.parametrize("metadata", [{**OVERLOADED, "operation": "dispatch_action"}, {**OVERLOADED, "channel": "lifecycle_inbox"}, None])
async def test_other_overload_is_not_retried(gateway, client, metadata):
    gateway.answers += [error("actor.overloaded", metadata=metadata)]
    with pytest.raises(ActorError, match="overloaded"):
        await client.get_or_create("counter", "a").send("q", 1)
    gateway.answers += [error("actor.overloaded", metadata=OVERLOADED)] * 2
    with pytest.raises(ActorError, match="overloaded"):
        await client.get_or_create("counter", "a").ping()
    with pytest.raises(ActorError, match="overloaded"):
        await client.get_for_id("counter", "id-1").send("q", 1)


async def test_queue_sends_are_serialized_in_call_order(gateway, client):
    async def slow(asked):
        await asyncio.sleep(1)
        return success(asked)

    gateway.answers += [slow, error("actor.stopping"), slow]
    handle = client.get_or_create("counter", "a")
    await asyncio.gather(*(handle.send("q", number) for number in range(4)))
    bodies = [decode_queue_request(asked.body, Encoding.BARE).body for asked in gateway.asked]
    assert bodies == [0, 1, 1, 2, 3]
    assert gateway.asked[1].at - gateway.asked[0].at == pytest.approx(1, abs=0.1)


async def test_queue_sends_are_not_in_the_outer_loop(gateway, client):
    gateway.answers += [error("guard.service_unavailable")]
    with pytest.raises(ActorError, match="service_unavailable"):
        await client.get_or_create("counter", "a").send("q", 1)


async def test_a_cancelled_send_lets_the_next_one_through(gateway, client):
    release = asyncio.Event()

    async def held(asked):
        await release.wait()
        return success(asked)

    gateway.answers += [held]
    handle = client.get_or_create("counter", "a")
    first = asyncio.create_task(handle.send("q", 1))
    second = asyncio.create_task(handle.send("q", 2))
    while not gateway.asked:  # noqa: ASYNC110 - virtual time
        await asyncio.sleep(0.001)
    first.cancel()
    await second
    release.set()
    assert first.cancelled()
    assert len(gateway.asked) == 2


async def test_fetch_retries_structured_errors_only(gateway, client):
    gateway.answers += [error("actor.dropped_reply", status=500)] * 2
    handle = client.get_or_create("counter", "a")
    assert (await handle.fetch("x")).text == "raw"
    assert [directly(asked) for asked in gateway.asked] == [True, False, False]
    gateway.answers += [text(503, "not structured"), error("user.teapot", status=418)]
    untouched = await handle.fetch("x")
    assert (untouched.status_code, untouched.text) == (503, "not structured")
    response = await handle.fetch("x")
    assert (response.status_code, response.json()["code"]) == (418, "teapot")


async def test_fetch_returns_the_last_error_response(gateway, client):
    gateway.answers += [error("actor.not_found", status=404)] * 24
    response = await client.get("counter", "a").fetch("x")
    assert (response.status_code, response.json()["group"]) == (404, "actor")
    assert len(gateway.asked) == 24
    gateway.answers += [error("actor.not_found", status=404)]
    assert (await client.get_for_id("counter", "id-7").fetch("x")).status_code == 404


async def test_cancellation_ends_the_retries(gateway, client):
    gateway.answers += [error("actor.stopping")] * 99
    call = asyncio.create_task(client.get_or_create("counter", "a").ping())
    await asyncio.sleep(0.35)
    call.cancel()
    await asyncio.sleep(1)
    assert call.cancelled()
    assert len(gateway.asked) <= 4
