"""Handles of the test's clients go stale at a boundary, also at one that is crossed through the manager API."""

from __future__ import annotations

import pytest

from client import ActorError, Client
from harness.errors import StaleHandleError
from harness.testing.handles import HandleBook, untracked
from harness.testing.tracking import TrackedClient, TrackedManager


class Manager:
    """A manager that knows one actor per name and key."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def record(self, name, key):
        return {"actor_id": f"id-{name}-{'/'.join(key)}", "name": name, "key": "/".join(key)}

    async def find_actor(self, name, key):
        return self.record(name, key)

    async def get_or_create_actor(self, name, key, **options):
        return self.record(name, key), True

    async def create_actor(self, name, key=None, **options):
        return self.record(name, key)

    async def get_actor(self, actor_id):
        self.calls.append("get_actor")
        _, name, key = actor_id.split("-")
        return self.record(name, key.split("/"))

    async def sleep_actor(self, actor_id):
        if "refused" in actor_id:
            raise ActorError("actor", "not_found", "no such actor")

    destroy_actor = sleep_actor

    async def metadata(self):
        return {}


@pytest.fixture
async def client():
    made = TrackedClient(HandleBook(), "http://localhost:1", metadata_lookup=False)
    made.rest = Manager()
    yield made
    await made.dispose()


def stale(handle):
    try:
        handle.action  # noqa: B018 -- a stale handle has no attributes
    except StaleHandleError:
        return True
    return False


@pytest.mark.parametrize("crossing", ["sleep_actor", "destroy_actor"])
async def test_every_way_to_a_handle_leads_to_a_stale_one(client, crossing):
    handles = [client.get("a", ["k"]), client.get_or_create("a", "k"), client.get_for_id("a", "id-a-k"), await client.create("a", ["k"])]
    others = [client.get("a", ["other"]), client.get("b", ["k"]), client.get_for_id("a", "id-a-other")]
    await handles[1].resolve()
    await getattr(client.rest, crossing)("id-a-k")
    assert [stale(handle) for handle in handles] == [True] * 4
    assert [stale(handle) for handle in others] == [False] * 3
    assert not stale(client.get("a", ["k"])), "a handle from behind the boundary"
    with pytest.raises(StaleHandleError, match=rf"handle of a used after conform.rest.{crossing}; reacquire it by key"):
        await handles[0].resolve()


async def test_an_id_that_nobody_resolved_is_looked_up_once(client):
    manager = client._manager
    handle = client.get_or_create("a", ["k"])
    await client.rest.sleep_actor("id-a-k")
    assert stale(handle)
    assert manager.calls == ["get_actor"]
    resolved = client.get_or_create("b", ["k"])
    await resolved.resolve()
    await client.rest.sleep_actor("id-b-k")
    assert stale(resolved)
    assert manager.calls == ["get_actor"]


async def test_a_refused_order_crosses_nothing(client):
    handle = client.get_for_id("a", "id-a-refused")
    with pytest.raises(ActorError):
        await client.rest.destroy_actor("id-a-refused")
    assert not stale(handle)


async def test_the_same_key_in_another_namespace_is_another_actor(client):
    book = client._book
    other = TrackedClient(book, "http://localhost:1", metadata_lookup=False, namespace="elsewhere")
    handles = [client.get("a", ["k"]), other.get("a", ["k"])]
    await client.rest.find_actor("a", ["k"])
    await client.rest.sleep_actor("id-a-k")
    assert [stale(handle) for handle in handles] == [True, False]
    await other.dispose()


async def test_what_the_client_makes_of_a_stale_handle_can_be_tested(client):
    handle = client.get("a", ["k"])
    own = untracked(handle)
    await client.rest.sleep_actor("id-a-k")
    assert stale(handle)
    assert await own.resolve() == "id-a-k"
    assert isinstance(client, Client)
    assert isinstance(client.rest, TrackedManager)
    assert await client.rest.metadata() == {}
