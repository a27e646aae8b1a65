"""Suite actor-vars: per-generation variables."""

from __future__ import annotations

from harness import requirement, suite

pytestmark = suite("actor-vars")


@requirement("RUN-200")
async def test_static_vars_are_available(conform):
    """Declared vars are readable in actions."""
    actor = conform.get_or_create("staticVarActor")
    assert await actor.action("getVars") == {"counter": 42, "name": "test-actor"}
    assert await actor.action("getName") == "test-actor"


@requirement("RUN-200", "RUN-201")
async def test_nested_static_vars_are_deep_copied(conform):
    """A mutation of nested vars stays in its own actor."""
    first = conform.get_or_create("nestedVarActor", conform.unique_key())
    changed = await first.action("modifyNested")
    assert changed["nested"] == {"value": "modified", "array": [1, 2, 3, 4], "obj": {"key": "new-value"}}
    second = conform.get_or_create("nestedVarActor", conform.unique_key())
    untouched = await second.action("getVars")
    assert untouched == {"counter": 42, "nested": {"value": "original", "array": [1, 2, 3], "obj": {"key": "value"}}}


@requirement("RUN-200")
async def test_vars_keep_changes_within_a_generation(conform):
    """Repeated mutations accumulate while the actor is awake."""
    actor = conform.get_or_create("nestedVarActor")
    await actor.action("modifyNested")
    again = await actor.action("modifyNested")
    assert again["nested"]["array"] == [1, 2, 3, 4, 4]


@requirement("RUN-200")
async def test_vars_are_rebuilt_at_each_start(conform, boundary):
    """Static vars are fresh after a sleep."""
    actor = conform.get_or_create("nestedVarActor")
    await actor.action("modifyNested")
    await boundary.sleep(actor, via="api")
    fresh = await conform.get_or_create("nestedVarActor").action("getVars")
    assert fresh["nested"] == {"value": "original", "array": [1, 2, 3], "obj": {"key": "value"}}


@requirement("RUN-200")
async def test_dynamic_vars_are_stable_within_a_generation(conform):
    """A builder runs once per start."""
    actor = conform.get_or_create("dynamicVarActor")
    first = await actor.action("getVars")
    assert 0 <= first["random"] < 1
    assert first["computed"].startswith("Actor-")
    assert await actor.action("getVars") == first


@requirement("RUN-200", "START-011")
async def test_dynamic_vars_change_at_the_next_start(conform, boundary):
    """The builder runs again after a sleep."""
    actor = conform.get_or_create("dynamicVarActor")
    first = await actor.action("getVars")
    await boundary.sleep(actor, via="api")
    assert (await conform.get_or_create("dynamicVarActor").action("getVars"))["random"] != first["random"]


@requirement("RUN-201")
async def test_unique_vars_differ_between_actors(conform):
    """Each actor builds vars of its own."""
    seen = {(await conform.get_or_create("uniqueVarActor", conform.unique_key()).action("getVars"))["id"] for _ in range(6)}
    assert len(seen) > 1


@requirement("START-014")
async def test_driver_context_is_absent(conform):
    """The vars builder gets no driver context where the driver offers none."""
    vars_ = await conform.get_or_create("driverCtxActor").action("getVars")
    assert vars_["hasDriverCtx"] is False


@requirement("RUN-202")
async def test_recreated_actor_has_fresh_vars(conform, boundary):
    """Vars of a destroyed actor are gone."""
    actor = conform.get_or_create("destroyActor")
    assert await actor.action("setEphemeral", "changed") == "changed"
    assert await actor.action("getEphemeral") == "changed"
    await boundary.destroy(actor)
    assert await conform.get_or_create("destroyActor").action("getEphemeral") == "fresh"
