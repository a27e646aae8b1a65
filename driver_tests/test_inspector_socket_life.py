"""Suite actor-inspector-socket: older versions of the protocol, and the life of a socket."""

from __future__ import annotations

import pytest

from driver_tests.inspecting import inspect
from driver_tests.inspector_socket import inspecting, state_is, until_shown
from harness import any_encoding, capability, depends_on, encodings, requirement, suite, timing
from harness.testing.codecs import load_value

pytestmark = [
    suite("actor-inspector-socket"),
    capability("inspector"),
    encodings("json"),
    depends_on("actor-inspector-socket::test_token_forms(subprotocol)"),
]

# Older versions.


@requirement("INSP-171")
@any_encoding
async def test_queue_is_dropped_in_version_1(conform):
    """A push that version 1 cannot express is an error with a drop code."""
    inspector = await inspect(conform, "queueActor")
    async with inspecting(conform, "queueActor", 1) as (socket, _):
        await inspector.post("queue", {"name": "greeting"})
        assert (await socket.until("Error"))["message"] == "inspector.queue_dropped"


@requirement("INSP-171")
@any_encoding
@pytest.mark.parametrize("request_name", ["Events", "ClearEvents"])
async def test_events_are_dropped(conform, request_name):
    """Events of version 1 exist no more."""
    async with inspecting(conform, "counter", 1) as (socket, _):
        await socket.send(request_name, id=1)
        assert "events" in (await socket.until("Error"))["message"]


@requirement("INSP-172")
@pytest.mark.parametrize("version", [5, 4, 3, 2, 1, None], ids=["v5", "v4", "v3", "v2", "v1", "legacy"])
async def test_schedule_pushes_are_left_out(conform, version):
    """Below version 6 schedules are neither pushed nor reported as dropped."""
    async with inspecting(conform, "scheduled", version) as (socket, _):
        await conform.get_or_create("scheduled").action("scheduleTaskAfter", 600_000)
        await socket.until("ConnectionsUpdated", lambda fields: fields["connections"] == [])
        await socket.ask("State")
        assert not [fields for kind, fields in socket.pushed if kind in ("SchedulesUpdated", "Error")]


@requirement("INSP-170")
@pytest.mark.parametrize("version", [3, 4, 5, None], ids=["v3", "v4", "v5", "legacy"])
async def test_database_in_older_versions(conform, version):
    """The database requests have other tags there."""
    await conform.get_or_create("dbActorRaw").action("insertMany", 1)
    async with inspecting(conform, "dbActorRaw", version) as (socket, _):
        rows = load_value((await socket.ask("DatabaseTableRows", table="test_data", limit=5, offset=0))["result"])
        assert len(rows) == 1


# Life.


@requirement("INSP-138")
@pytest.mark.parametrize("end", ["sleep", "destroy"])
@timing
async def test_stop_closes_the_socket(conform, boundary, end):
    """A stop of the actor closes the socket with 1000 `actor.stopped`."""
    name = "sleep" if end == "sleep" else "destroyActor"
    asked, fresh = (["getCounts"], {"startCount": 2, "sleepCount": 1}) if end == "sleep" else (["getValue"], 0)
    async with inspecting(conform, name) as (socket, _):
        if end == "sleep":
            await boundary.sleep(conform.get_or_create(name))
        else:
            await boundary.destroy(conform.get_or_create(name))
        assert await socket.closed() == (1000, "actor.stopped")
        assert await conform.get_or_create(name).action(*asked) == fresh


@requirement("INSP-139")
@any_encoding
@timing
async def test_socket_does_not_keep_the_actor_awake(conform, boundary):
    """With nothing but an inspector socket the actor goes idle and sleeps."""
    async with inspecting(conform, "sleep") as (socket, _):
        actor_id = await conform.get_or_create("sleep").resolve()
        await boundary.wait_asleep(actor_id)
        assert await socket.closed() == (1000, "actor.stopped")
        assert await conform.get_or_create("sleep").action("getCounts") == {"startCount": 2, "sleepCount": 1}


@requirement("INSP-139", "INSP-042")
@any_encoding
async def test_socket_is_no_connection(conform):
    """Neither the actor nor the inspector counts it."""
    inspector = await inspect(conform, "counter")
    async with inspecting(conform, "counter") as (socket, init):
        assert init["connections"] == []
        assert (await socket.ask("Connections"))["connections"] == []
        assert (await inspector.get("connections"))["connections"] == []


@requirement("INSP-140")
@any_encoding
async def test_sockets_are_independent(conform, eventually):
    """Sockets of different versions live side by side; closing one leaves the others."""
    async with inspecting(conform, "counter", 6) as (current, _), inspecting(conform, "counter", None) as (legacy, _):
        async with inspecting(conform, "counter", 2) as (older, _):
            assert await older.action("increment", 1) == 1
        for socket in (current, legacy):
            await socket.until("StateUpdated", state_is(1))
            await until_shown(eventually, socket, 1)


@requirement("INSP-139", "INSP-140")
async def test_abrupt_end(conform, eventually):
    """A client that vanishes leaves no trace: the next socket works, and the actor too."""
    async with inspecting(conform, "counter") as (socket, _):
        socket.connection.transport.abort()
    assert await conform.get_or_create("counter").action("increment", 1) == 1
    async with inspecting(conform, "counter") as (socket, _):
        await until_shown(eventually, socket, 1)
