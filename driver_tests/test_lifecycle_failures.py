"""Suite lifecycle-failures: starts that fail, by every hook, in every way, and what comes after them."""

from __future__ import annotations

import json

import pytest

from harness import any_encoding, requirement, suite, timing, untimed
from harness.testing.interpreter import labels, latch, later, made, op, play, ref, trace, traced

pytestmark = [suite("lifecycle-failures"), timing, any_encoding]

HOOKS = ("createState", "onCreate", "createVars", "onWake")
NOTHING = op("value", value={})
SECRET = "the reason of the hook"
NOW = later(0)


def counted(place, *then):
    """A hook that tells that it runs, keeps the number of that record as `n`, and does the rest."""
    return [trace(place, NOW, as_="n"), *then, NOTHING]


def failing_once(place, number, *before):
    """A hook that fails when it is what the test's trace has under that number."""
    return counted(place, *before, op("if", value=ref("n"), is_=number, then=[op("throw", message=SECRET)]))


def cleanup():
    """What must not run when a start fails tells that it runs."""
    return {"run": [trace("run")], "onSleep": [trace("onSleep")], "onDestroy": [trace("onDestroy")]}


REPEATED = {
    "createState": ("createState", *HOOKS),
    "onCreate": ("createState", "onCreate", *HOOKS),
    "createVars": ("createState", "onCreate", "createVars", "createVars", "onWake"),
    "onWake": (*HOOKS, "createVars", "onWake"),
}
"""The hooks of a first start whose named hook fails once."""


@requirement("START-060", "START-063", "START-065", "START-066", "START-067", "START-018", "START-031")
@pytest.mark.parametrize("place", HOOKS)
async def test_first_start_that_fails_once(conform, boundary, clock, place):
    """The hooks after the failing one don't run, nor does a cleanup hook; the call that waits is served by the next attempt, at once.

    That repeats the creation when the creation failed, and is a wake when it was done.
    """
    number = HOOKS.index(place) + 1
    programs = {name: failing_once(name, number if name == place else 0) for name in HOOKS}
    actor = made(conform, given={"by": "us"}, **cleanup(), **programs)
    actor_id = await actor.resolve()
    began = clock.monotonic()
    response = await conform.post_action(actor, "exec", [op("value", value=ref("actor.migrations"))], encoding="json")
    clock.took(began, most=conform.limit(1))
    assert (response.status_code, response.headers["x-rivet-actor-generation"]) == (200, "2")
    assert response.json()["output"] == ([True, True] if place in ("createState", "onCreate") else [True, False])
    assert await labels(conform) == [*REPEATED[place], "run"]
    record = await boundary.record(actor_id)
    assert "error" not in record and record["sleep_ts"] is None and record["connectable_ts"] is not None


@untimed
@requirement("START-065", "START-018")
async def test_state_of_a_failed_creation_is_dropped(conform):
    """What a failed onCreate wrote is gone: the next attempt begins with a fresh state."""
    write = [op("append", at="state.log", value="written"), op("set", at="state.seen", value=ref("state.log"))]
    actor = made(conform, createState=counted("createState"), onCreate=failing_once("onCreate", 2, *write), state={"log": ["fresh"]})
    assert await play(actor, op("value", value=ref("state.log"))) == ["fresh", "written"]
    assert await labels(conform) == ["createState", "onCreate", "createState", "onCreate"]


@untimed
@requirement("START-066", "START-015", "START-018")
async def test_state_of_a_creation_is_kept_when_a_later_hook_fails(conform):
    """What createState and onCreate made is durable before createVars runs; what the failed onWake wrote is not."""
    write = op("append", at="state.log", value="onCreate")
    wake = failing_once("onWake", 2, op("append", at="state.log", value=ref("n")))
    actor = made(conform, onCreate=counted("onCreate", write), onWake=wake, state={"log": []})
    assert await play(actor, op("value", value=ref("state.log"))) == ["onCreate", 3]
    assert await labels(conform) == ["onCreate", "onWake", "onWake"]


@requirement("START-060", "START-062", "START-063", "START-064", "START-061")
@pytest.mark.parametrize("place", HOOKS)
async def test_start_that_always_fails(conform, boundary, clock, place):
    """One request makes nine attempts without a pause, then it is told so, and nothing of the hook's error; the record has that."""
    programs = {name: counted(name) for name in HOOKS}
    metadata = {"hidden": "by the hook"}
    programs[place] = counted(place, op("throw", message=SECRET, code="hook_code", metadata=metadata))
    actor = made(conform, **cleanup(), **programs)
    actor_id = await actor.resolve()
    record = await boundary.wait_asleep(actor_id)
    assert (record["start_ts"], record["destroy_ts"], record["connectable_ts"]) == (None, None, None)
    before = await labels(conform)
    creating = HOOKS[: HOOKS.index(place) + 1]
    assert before == [*creating]
    began = clock.monotonic()
    response = await conform.post_action(actor, "exec", [NOTHING], encoding="json")
    clock.took(began, most=conform.limit(1.5))
    body = response.json()
    assert (response.status_code, body["group"], body["code"]) == (400, "guard", "actor_wake_retries_exceeded")
    assert body["message"] == f"Actor {actor_id} stopped before becoming ready after 8 wake retries: actor_stopped_before_ready."
    assert body["metadata"] == {"actor_id": actor_id, "wake_retries": 8, "reason": "actor_stopped_before_ready"}
    assert SECRET not in response.text and "hook_code" not in response.text and "hidden" not in response.text
    again = creating if place in ("createState", "onCreate") else HOOKS[2 : HOOKS.index(place) + 1]
    assert (await labels(conform))[len(before) :] == [*again] * 9
    record = await boundary.wait_asleep(actor_id)
    assert SECRET in record["error"]["crashed"]["message"] and set(record["error"]) == {"crashed"}
    assert (record["start_ts"], record["destroy_ts"], record["connectable_ts"], record["crash_policy"]) == (None, None, None, "sleep")
    assert (record["actor_id"], record["key"]) == (actor_id, conform.key[0])
    assert await made(conform).resolve() == actor_id


@requirement("START-060", "START-061", "START-062", "START-067")
@pytest.mark.parametrize("place", ["onMigrate", "createVars", "onWake"])
async def test_wake_that_fails(conform, boundary, place):
    """A failing wake runs no later hook and no cleanup hook, creates nothing, and leaves state, key and record; then it is served again."""
    hooks = ("onMigrate", "createVars", "onWake")
    # Before the sleep: createState, onCreate, createVars, onWake, run, onSleep.
    first = 7 + hooks.index(place)
    programs = {name: failing_once(name, first if name == place else 0) for name in ("onMigrate", *HOOKS)}
    actor = made(conform, state={"kept": 1}, **cleanup(), **programs)
    await play(actor, op("set", at="state.kept", value=2))
    actor_id = await boundary.sleep(actor, via="api")
    actor = made(conform)
    assert await play(actor, op("value", value=[ref("state.kept"), ref("actor.id")])) == [2, actor_id]
    assert (await labels(conform))[6:] == [*hooks[: hooks.index(place) + 1], *hooks, "run"]
    record = await boundary.record(actor_id)
    assert "error" not in record and record["sleep_ts"] is None


@untimed
@requirement("START-026", "START-010")
async def test_input_is_what_was_given(conform):
    """What a hook of a creation does to the input is in neither the next hook nor the next attempt."""
    spoil = op("change", of="input.list", value=2)
    hooks = {
        "createState": counted("createState", trace("input", ref("input")), spoil),
        "onCreate": failing_once("onCreate", 3, trace("input", ref("input")), spoil),
    }
    actor = made(conform, given={"list": [1]}, **hooks)
    await play(actor, NOTHING)
    assert [one["value"] for one in await traced(conform) if one["label"] == "input"] == [{"list": [1]}] * 4


@requirement("START-026", "START-027", "START-025")
async def test_input_outlives_failed_starts(conform, boundary):
    """A creation that succeeds long after its request has that request's input, and not that of a later handle for the key."""
    refusing = op("if", value=ref("n"), below=12, then=[op("throw", message=SECRET)])
    hook = [trace("createState", ref("input"), as_="n"), refusing, NOTHING]
    actor = made(conform, createState=hook, onCreate=[trace("onCreate", ref("input"))], given={"first": True})
    await boundary.wait_asleep(await actor.resolve())
    assert (await conform.post_action(actor, "exec", [NOTHING], encoding="json")).status_code == 400
    other = made(conform, createState=[NOTHING], given={"first": False})
    assert await other.resolve() == await actor.resolve()
    assert (await conform.post_action(other, "exec", [NOTHING], encoding="json")).status_code == 200
    records = await traced(conform)
    assert [(record["label"], record["value"]) for record in records] == [("createState", {"first": True})] * 12 + [
        ("onCreate", {"first": True})
    ]


@requirement("START-070", "START-061")
async def test_state_that_cannot_be_stored_fails_the_start(conform, boundary):
    """A createState that returns a function is a failed start: no hook after it runs, and the record says why."""
    actor = made(conform, createState=[trace("createState"), op("value", value={"broken": {"$function": 0}})], onWake=[trace("onWake")])
    actor_id = await actor.resolve()
    record = await boundary.wait_asleep(actor_id)
    assert record["start_ts"] is None and record["error"]["crashed"]["message"]
    assert await labels(conform) == ["createState"]
    response = await conform.post_action(actor, "exec", [NOTHING], encoding="json")
    assert (response.status_code, response.json()["code"]) == (400, "actor_wake_retries_exceeded")


LIMITS = {"createState": 5000, "onCreate": 5000, "createVars": 5000, "onWake": 30_000, "onMigrate": 30_000}
"""Milliseconds that a hook may take when nothing is configured."""


@requirement("START-068", "START-061")
@pytest.mark.timeout(150)
@pytest.mark.parametrize("place", LIMITS)
async def test_hook_over_its_limit(conform, boundary, eventually, place):
    """A hook that takes longer than its default limit fails the start at that limit, with a message that names hook and limit."""
    limit = LIMITS[place]
    slow = {place: counted(place, op("if", value=ref("n"), is_=1, then=[op("wait", ms=limit + 3000)]))}
    actor = made(conform, **slow)
    actor_id = await actor.resolve()
    if place == "onMigrate":
        await play(actor, op("schedule.after", ms=1500, do=[]))
        await boundary.sleep(actor, via="api")
    failed = lambda record: "error" in record and record["sleep_ts"] is not None  # noqa: E731
    record = await eventually(lambda: boundary.record(actor_id), until=failed, timeout=limit / 1000 + 5, what="the failed start")
    assert list(record["error"]) == ["crashed"]
    assert record["error"]["crashed"]["message"].endswith(f"callback `{place}` timed out after {limit} ms")
    (begun,) = await traced(conform)
    assert record["destroy_ts"] is None
    took = record["sleep_ts"] - begun["value"]
    assert took >= limit - 50
    assert took <= conform.limit(limit + 1500)
    actor = made(conform)
    await play(actor, NOTHING)
    assert await labels(conform) == [place, place]


@requirement("START-068")
@pytest.mark.timeout(150)
@pytest.mark.parametrize("place", LIMITS)
async def test_hook_within_its_limit(conform, boundary, clock, place):
    """A hook that takes a little less than its default limit is waited for, and the start is a start."""
    slow = counted(place, op("wait", ms=0.93 * LIMITS[place]))
    actor = made(conform, **{place: slow}, run=[trace("run")])
    if place == "onMigrate":
        await play(actor, NOTHING)
        await boundary.sleep(actor, via="api")
        actor = made(conform)
    began = clock.monotonic()
    response = await conform.post_action(actor, "exec", [NOTHING], encoding="json")
    clock.took(began, least=0.9 * LIMITS[place] / 1000, most=conform.limit(LIMITS[place] / 1000 + 1))
    assert (response.status_code, response.headers["x-rivet-actor-generation"]) == (200, "2" if place == "onMigrate" else "1")
    assert [label for label in await labels(conform) if label == place] == [place]


@requirement("START-050", "START-060", "DESTROY-009")
async def test_destruction_ordered_during_a_start_that_fails(conform, boundary):
    """An order that waits for a start which then fails destroys the actor, without any further hook or attempt."""
    actor = made(conform, onWake=[trace("onWake"), latch("in wake"), op("throw", message=SECRET)], **cleanup())
    actor_id = await actor.resolve()
    await conform.latch("in wake").arrived()
    deleted = conform.spawn(conform.rest.destroy_actor(actor_id))
    await conform.latch("in wake").release()
    record = await boundary.wait_destroyed(actor_id)
    await deleted
    assert json.dumps(record.get("error", SECRET)).count(SECRET) == 1
    assert await labels(conform) == ["onWake"]
