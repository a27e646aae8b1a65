"""From a gateway request to the actor it is for: a directory of a few lines."""

import pytest

from runtime.errors import ActorError
from runtime.hosting.standalone.listener.gateway_routing import Router, check_actor_id
from runtime.hosting.standalone.namespaces import Namespace
from runtime.protocol.ids import encode_id, new_id

HOME = Namespace("n", "home", "", 0)


class Slot:
    def __init__(self, actor_id):
        self.actor_id = actor_id


class Actors:
    """Finds what it was told of, creates the rest."""

    def __init__(self):
        self.namespaces, self.slots, self.keys, self.created = self, {}, {}, []

    def require(self, name):
        assert name == "home"
        return HOME

    def find(self, namespace, name, key):
        return self.keys.get(key)

    async def get_or_create(self, namespace, name, key, pool, input_cbor=None):
        self.created.append((name, key, pool, input_cbor))
        return Slot("made"), True


async def resolved(actors, path, query=b""):
    router = Router(actors)
    return await router.resolve(router.parse(path, query))


async def test_a_direct_path_names_the_actor():
    actor_id = new_id()
    assert await resolved(Actors(), f"/gateway/{actor_id.upper()}/action/x".encode()) == actor_id


async def test_a_query_finds_or_creates():
    actors = Actors()
    actors.keys["k"] = Slot("known")
    assert await resolved(actors, b"/gateway/thing/x", b"rvt-namespace=home&rvt-method=get&rvt-key=k") == "known"
    with pytest.raises(ActorError) as caught:
        await resolved(actors, b"/gateway/thing/x", b"rvt-namespace=home&rvt-method=get&rvt-key=other")
    assert caught.value.name == "actor.not_found"
    query = b"rvt-namespace=home&rvt-method=getOrCreate&rvt-key=other&rvt-runner=p&rvt-crash-policy=sleep"
    assert await resolved(actors, b"/gateway/thing/x", query) == "made"
    assert actors.created == [("thing", "other", "p", None)]


def test_parsed_paths_are_remembered_in_bounds(monkeypatch):
    monkeypatch.setattr("runtime.hosting.standalone.listener.gateway_routing.MAX_CACHED", 3)
    actors = Actors()
    router = Router(actors)
    paths = [f"/gateway/{new_id()}/health".encode() for _ in range(5)]
    actors.slots = {path.split(b"/")[2].decode(): Slot("") for path in paths}
    routes = [router.parse(path, b"") for path in paths]
    assert router.parse(paths[-1], b"") is routes[-1]
    assert router.parse(paths[0], b"") is not routes[0]


def test_ids_of_no_actor_push_nobody_out(monkeypatch):
    monkeypatch.setattr("runtime.hosting.standalone.listener.gateway_routing.MAX_CACHED", 1)
    actors = Actors()
    router = Router(actors)
    actors.slots["known"] = Slot("known")
    route = router.parse(b"/gateway/known/health", b"")
    for number in range(3):
        router.parse(f"/gateway/made-up-{number}/health".encode(), b"")
    assert router.parse(b"/gateway/known/health", b"") is route


@pytest.mark.parametrize(("text", "name"), [("nonsense", "core.internal_error"), (encode_id(bytes(16), 2), "datacenter.not_found")])
def test_ids_of_elsewhere_and_ids_that_are_none(text, name):
    with pytest.raises(ActorError) as caught:
        check_actor_id(text)
    assert caught.value.name == name
