"""Suite actor-state: state, keys, isolation and persistence across sleep."""

from __future__ import annotations

from harness import requirement, suite

pytestmark = suite("actor-state")


@requirement("START-010", "RUN-110")
async def test_new_actor_starts_with_its_declared_state(conform):
    """A fresh actor has the declared initial state."""
    assert await conform.get_or_create("counter").action("getCount") == 0


@requirement("RUN-100")
async def test_state_is_shared_by_all_calls(conform):
    """A write of one call is read by the next."""
    actor = conform.get_or_create("counter")
    assert await actor.action("increment", 5) == 5
    assert await actor.action("increment", 3) == 8
    assert await actor.action("getCount") == 8


@requirement("WIRE-080", "WIRE-162")
async def test_two_handles_of_one_key_share_state(conform):
    """Handles of the same name and key reach the same actor."""
    await conform.get_or_create("counter").action("increment", 4)
    assert await conform.get_or_create("counter").action("getCount") == 4
    assert await conform.get("counter").action("getCount") == 4


@requirement("WIRE-162", "RUN-110")
async def test_different_keys_are_different_actors(conform):
    """Actors of different keys share nothing, not even prefixes of their keys."""
    first = conform.get_or_create("counter", conform.unique_key())
    await first.action("increment", 9)
    second = conform.get_or_create("counter", conform.unique_key())
    longer = conform.get_or_create("counter", [*conform.key, "more"])
    assert await second.action("getCount") == 0
    assert await longer.action("getCount") == 0
    assert await first.action("getCount") == 9


@requirement("WIRE-160", "WIRE-162")
async def test_actor_sees_its_own_key(conform):
    """Key parts reach the actor unchanged, special characters included."""
    for tail in ([], ["a", "b"], ["a/b"], [""], ["back\\slash"], ["ключ"], ["\\0"]):
        key = [*conform.unique_key(), *tail]
        assert await conform.get_or_create("counter", key).action("getKey") == key


@requirement("WIRE-160")
async def test_string_key_is_a_list_of_one(conform):
    """A bare string key equals the list with that one element."""
    name = conform.unique_key()[0]
    await conform.get_or_create("counter", name).action("increment", 2)
    assert await conform.get_or_create("counter", [name]).action("getCount") == 2


@requirement("WIRE-160", "WIRE-162")
async def test_split_and_joined_keys_are_different(conform):
    """`a/b` as one part and as two parts are different actors."""
    base = conform.unique_key()[0]
    await conform.get_or_create("counter", [base, "x/y"]).action("increment", 1)
    assert await conform.get_or_create("counter", [base, "x", "y"]).action("getCount") == 0


@requirement("RUN-146", "SLEEP-090", "SLEEP-091")
async def test_state_survives_sleep(conform, boundary):
    """State written before a sleep is there after the wake, under the same id and a higher generation."""
    actor = conform.get_or_create("sleep")
    assert await actor.action("getCounts") == {"startCount": 1, "sleepCount": 0}
    before = await actor.resolve()
    await boundary.sleep(actor)
    actor = conform.get_or_create("sleep")
    assert await actor.action("getCounts") == {"startCount": 2, "sleepCount": 1}
    assert await actor.resolve() == before


@requirement("RUN-101")
async def test_nested_mutation_and_removal_are_kept(conform, boundary):
    """Nested writes, list appends and removals are state changes like any other."""
    actor = conform.get_or_create("saveStateObserver")
    await actor.action("recordPhase", "one", "immediate")
    await actor.action("recordPhase", "two", "deferred")
    await actor.action("reset", "one")
    await boundary.sleep(actor, via="api")
    actor = conform.get_or_create("saveStateObserver")
    assert await actor.action("getPhase", "one") is None
    assert await actor.action("getPhase", "two") == "deferred"


@requirement("RUN-146", "SLEEP-025")
async def test_counter_survives_a_sleep_ordered_by_the_manager(conform, boundary):
    """A graceful sleep loses nothing."""
    actor = conform.get_or_create("counter")
    await actor.action("increment", 7)
    await boundary.sleep(actor, via="api")
    assert await conform.get_or_create("counter").action("getCount") == 7


@requirement("RUN-104")
async def test_values_keep_their_type_over_a_sleep(conform, boundary):
    """Nested JSON-like values come back with their types."""
    value = {"none": None, "flag": True, "float": 1.25, "int": -7, "text": "é", "list": [1, [2, {"x": []}]], "object": {"a": {}}}
    actor = conform.get_or_create("errorHandlingActor")
    await actor.action("logError", value)
    await boundary.sleep(actor, via="api")
    assert await conform.get_or_create("errorHandlingActor").action("getErrorLog") == [value]


@requirement("DESTROY-041")
async def test_destroyed_key_starts_afresh(conform, boundary):
    """After a destroy the same key is a new actor with initial state."""
    actor = conform.get_or_create("counter")
    await actor.action("increment", 3)
    old = await boundary.destroy(actor, via="api")
    actor = conform.get_or_create("counter")
    assert await actor.action("getCount") == 0
    assert await actor.resolve() != old
