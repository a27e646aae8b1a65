"""Classes, checked and taken apart, and the registry of them."""

import pytest

from runtime.declaration.actions import action
from runtime.declaration.actor import Actor
from runtime.declaration.definition import ActorDefinition
from runtime.declaration.events import Event
from runtime.declaration.options import Options
from runtime.declaration.queues import Queue
from runtime.declaration.registry import Registry
from runtime.declaration.tabs import InspectorTab


class Provider:
    def create_client(self, session): ...

    def on_migrate(self, db): ...


class FullHouse(Actor):
    options = Options(sleep_timeout=1)
    state = {"n": 0}
    events = {"changed": Event(schema=int)}
    queues = {"jobs": Queue(schema=int)}
    conn_params = int
    database = Provider()
    inspector_tabs = (InspectorTab(id="state", hidden=True),)

    def on_wake(self, c): ...

    @action
    def get(self, c): ...


class Built(Actor):
    name = "made-up"

    def create_state(self, c):
        return 1


def test_everything_of_a_class():
    found = ActorDefinition.of(FullHouse)
    assert found.name == "fullHouse"
    assert found.options.sleep_timeout == 1
    assert (list(found.actions), list(found.hooks)) == (["get"], ["on_wake"])
    assert (list(found.events), list(found.queues)) == (["changed"], ["jobs"])
    assert found.conn_params.check("3") == 3
    assert found.database is FullHouse.database
    assert found.inspector_tabs == FullHouse.inspector_tabs
    assert found.has_state


def test_nothing_is_declared_by_default():
    found = ActorDefinition.of(type("Empty", (Actor,), {}))
    assert not found.has_state
    assert not (found.actions or found.hooks or found.events or found.queues or found.inspector_tabs)
    assert found.conn_params is found.database is None


def test_state_may_be_built():
    found = ActorDefinition.of(Built)
    assert found.name == "made-up"
    assert found.has_state


def test_an_action_cannot_take_the_place_of_an_attribute():
    class Bad(Actor):
        @action
        def state(self, c): ...

    with pytest.raises(TypeError, match="state"):
        ActorDefinition.of(Bad)


def test_a_registry_has_one_actor_per_name():
    registry = Registry(FullHouse, Built)
    assert [definition.name for definition in registry] == ["fullHouse", "made-up"]
    assert len(registry) == 2
    assert registry.get("made-up").instance.name == "made-up"
    assert registry.get("nobody") is None
    with pytest.raises(ValueError, match="'made-up' is registered twice"):
        registry.add(Built)
