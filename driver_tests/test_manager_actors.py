"""Suite manager-actors: what a record says of an actor over its life, and what creating, destroying and ordering it answers."""

from __future__ import annotations

import asyncio
import base64

import pytest

from driver_tests.managing import call, created, creation, ids, listed, own_namespace, refused
from harness import any_encoding, capability, requirement, suite, timing
from harness.testing.codecs import encode_input, new_id
from harness.testing.interpreter import latch, made, op, play, ref, trace, traced

pytestmark = [suite("manager-actors"), any_encoding]

NOT_FOUND = "The actor does not exist or was destroyed."
SET = {"actor_id", "name", "key", "namespace_id", "datacenter", "runner_name_selector", "crash_policy", "create_ts"}
UNSET = dict.fromkeys(["start_ts", "pending_allocation_ts", "connectable_ts", "sleep_ts", "reschedule_ts", "destroy_ts"])


def programs(**places):
    """The input of an interpreter actor."""
    return {"programs": places, "state": {}, "input": None}


@requirement("WIRE-040", "WIRE-043")
@timing
@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_an_actor_is_answered_before_it_starts(conform, eventually, method):
    """The answer has every member, those of later null and no error, while the start has not ended; the start ends by itself."""
    [key] = conform.key
    actor = await created(conform, "interpreter", method=method, key=key, given=programs(onCreate=[latch("in start")]))
    assert {name: actor[name] for name in UNSET} == UNSET
    assert actor.keys() == SET | UNSET.keys()
    assert (actor["name"], actor["key"], actor["runner_name_selector"]) == ("interpreter", key, conform.pool)
    await conform.latch("in start").arrived()
    record = await conform.rest.get_actor(actor["actor_id"])
    assert (record["start_ts"], record["connectable_ts"], record["sleep_ts"]) == (None, None, None)
    await conform.latch("in start").release()
    record = await eventually(
        lambda: conform.rest.get_actor(actor["actor_id"]), until=lambda found: found["connectable_ts"] is not None, what="the start"
    )
    assert record["start_ts"] >= record["create_ts"]


@requirement("WIRE-040", "WIRE-174")
@pytest.mark.parametrize("policy", ["restart", "destroy", "sleep"])
async def test_stamps_of_a_life(conform, boundary, policy):
    """The first start keeps its time; connectable is when it last became so, and only while it runs; asleep only while it sleeps."""
    actor_id = (await created(conform, "interpreter", crash_policy=policy))["actor_id"]
    actor = conform.get_for_id("interpreter", actor_id)
    assert await play(actor, op("return", value=1)) == 1
    first = await conform.rest.get_actor(actor_id)
    assert (first["crash_policy"], first["sleep_ts"], first["destroy_ts"]) == ("sleep", None, None)
    assert first["create_ts"] <= first["start_ts"] <= first["connectable_ts"]
    await boundary.sleep(actor, via="api")
    asleep = await conform.rest.get_actor(actor_id)
    assert (asleep["start_ts"], asleep["connectable_ts"]) == (first["start_ts"], None)
    assert asleep["sleep_ts"] >= first["connectable_ts"]
    assert await play(conform.get_for_id("interpreter", actor_id), op("return", value=2)) == 2
    again = await conform.rest.get_actor(actor_id)
    assert (again["start_ts"], again["sleep_ts"]) == (first["start_ts"], None)
    assert again["connectable_ts"] >= asleep["sleep_ts"]
    await boundary.destroy(conform.get_for_id("interpreter", actor_id), via="api")
    [gone] = await listed(conform, actor_ids=actor_id)
    assert (gone["start_ts"], gone["connectable_ts"], gone["create_ts"]) == (first["start_ts"], None, first["create_ts"])
    assert gone["destroy_ts"] >= again["connectable_ts"]


@requirement("WIRE-042", "WIRE-041", "WIRE-206", "WIRE-205")
async def test_an_error_is_gone_with_the_next_start(conform):
    """A failed start is in the record as a crash with its message, never in an answer; the start that succeeds takes it away."""
    switch_key = conform.unique_key("switch")
    switch = made(conform, "interpreter", switch_key, state={"fails": True})
    await switch.resolve()
    look = [op("value", value=ref("state.fails"))]
    ask = op("actor.exec", actor="interpreter", key=switch_key, existing=True, do=look, as_="fails")
    fault = op("if", value=ref("fails"), then=[op("throw", kind="internal", message="the switch is on")])
    body = creation(conform, "interpreter", given=programs(onWake=[ask, fault]))
    actor_id = (await call(conform, "PUT", "/actors", json=body)).json()["actor"]["actor_id"]
    response = await conform.http.post(f"/gateway/{actor_id}/action/exec", content=b'{"args":[[]]}', timeout=60)
    text = f"Actor {actor_id} stopped before becoming ready after 8 wake retries: actor_stopped_before_ready."
    metadata = {"actor_id": actor_id, "reason": "actor_stopped_before_ready", "wake_retries": 8}
    refused(response, 400, "guard.actor_wake_retries_exceeded", text, metadata)
    record = await conform.rest.get_actor(actor_id)
    assert record["error"].keys() == {"crashed"} and record["error"]["crashed"].keys() == {"message"}
    assert "the switch is on" in record["error"]["crashed"]["message"]
    assert (record["start_ts"], record["connectable_ts"]) == (None, None)
    assert record["sleep_ts"] is not None
    await play(switch, op("set", at="state.fails", value=False))
    assert await play(conform.get_for_id("interpreter", actor_id), op("return", value=3)) == 3
    record = await conform.rest.get_actor(actor_id)
    assert "error" not in record
    assert record["start_ts"] is not None and record["sleep_ts"] is None


@requirement("WIRE-204", "WIRE-207")
async def test_attempts_of_a_start(conform):
    """A request sees nine attempts at a start that always fails, no more and no fewer, and the next request nine more."""
    key = conform.unique_key()[0]
    given = programs(onWake=[trace("start", key=[key]), op("throw", kind="internal", message="never")])
    actor = await created(conform, "interpreterSleepy", key=key, given=given, method="POST")
    rounds = []
    for _ in range(3):
        response = await conform.http.post(f"/gateway/{actor['actor_id']}/action/exec", content=b'{"args":[[]]}', timeout=60)
        assert response.status_code == 400
        rounds.append(len(await traced(conform, [key])))
    # The attempt of the creation may count into the first round or come before it.
    assert [rounds[1] - rounds[0], rounds[2] - rounds[1]] == [9, 9]
    assert rounds[0] in (9, 10)


@requirement("WIRE-203", "WIRE-201")
@timing
@pytest.mark.timeout(120)
async def test_a_start_that_takes_too_long(conform, clock):
    """A request waits 30 seconds for an actor to become ready, and not for ever; the start goes on."""
    # Two hooks hold the start, for no single one may take so long.
    actor = made(conform, onCreate=[latch("first")], onWake=[latch("second")])
    actor_id = await actor.resolve()
    await conform.latch("first").arrived()
    started = clock.monotonic()
    call_ = conform.spawn(conform.http.post(f"/gateway/{actor_id}/action/exec", content=b'{"args":[[]]}', timeout=conform.limit(60)))
    await asyncio.wait([call_], timeout=conform.limit(2))
    await conform.latch("first").release()
    await conform.latch("second").arrived()
    response = await call_
    text = (
        "Timed out waiting for actor to become ready. Ensure that the pool selector is accurate and there are envoys available in the "
        "namespace you created this actor."
    )
    refused(response, 503, "guard.actor_ready_timeout", text, {"actor_id": actor_id})
    clock.took(started, least=29.5, most=conform.limit(31.5))
    await conform.latch("second").release()
    assert await play(actor, op("return", value=4)) == 4


@requirement("WIRE-080", "WIRE-173", "WIRE-174")
async def test_a_put_finds_and_changes_nothing(conform):
    """Of a live actor PUT gives the record and takes neither input nor policy."""
    body = creation(conform, "inputActor", given={"first": True})
    first = (await call(conform, "PUT", "/actors", json=body)).json()
    assert first["created"] is True
    other = base64.b64encode(encode_input({"second": True})).decode()
    again = (await call(conform, "PUT", "/actors", json={**body, "input": other, "crash_policy": "destroy"})).json()
    assert (again["created"], again["actor"]["actor_id"]) == (False, first["actor"]["actor_id"])
    assert again["actor"]["crash_policy"] == "sleep"
    inputs = await conform.get_for_id("inputActor", first["actor"]["actor_id"]).action("getInputs")
    assert inputs["initialInput"] == {"first": True}


@requirement("WIRE-170", "WIRE-171", "WIRE-043")
@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("value", [0, False, "", None, [], {}, 2**40, ["$x", 1]], ids=repr)
async def test_falsy_inputs(conform, method, value):
    """What an actor is created with is what it sees, however empty; without input there is none."""
    actor_id = (await created(conform, "interpreter", method=method, given={"programs": READ, "input": value}))["actor_id"]
    assert (await play(conform.get_for_id("interpreter", actor_id), op("return", value=ref("state.seen")))) == value


READ = {"createState": [op("return", value={"seen": ref("input")})]}


@requirement("WIRE-083", "WIRE-082")
async def test_a_taken_key(conform):
    """POST with the key of a live actor names that one and leaves it; once it is destroyed the key makes a new one, by both calls."""
    body = creation(conform)
    first = (await call(conform, "POST", "/actors", json=body)).json()["actor"]["actor_id"]
    text = f"Actor key '{body['key']}' already in use for actor '{first}'"
    answer = await call(conform, "POST", "/actors", json=body)
    refused(answer, 400, "actor.duplicate_key", text, {"existing_actor_id": first, "key": body["key"]})
    assert ids(await listed(conform, name="counter", key=body["key"])) == [first]
    other = (await call(conform, "POST", "/actors", json={**body, "name": "sleep"})).json()["actor"]["actor_id"]
    assert other != first
    known = {first, other}
    for method in ("PUT", "POST"):
        assert (await call(conform, "DELETE", f"/actors/{first}")).json() == {}
        answer = (await call(conform, method, "/actors", json=body)).json()
        assert answer.get("created", True) is True
        first = answer["actor"]["actor_id"]
        assert first not in known
        known.add(first)


@requirement("WIRE-084")
@pytest.mark.parametrize("given", [{}, {"key": None}], ids=["absent", "null"])
async def test_actors_without_a_key(conform, given):
    """Each POST makes another one, its key is null, and no key finds it."""
    body = {name: value for name, value in creation(conform).items() if name != "key"} | given
    first, second = [(await call(conform, "POST", "/actors", json=body)).json()["actor"] for _ in range(2)]
    assert (first["key"], second["key"]) == (None, None)
    assert first["actor_id"] != second["actor_id"]
    for key in ("/", "null", r"\0"):
        assert not {first["actor_id"], second["actor_id"]} & set(ids(await listed(conform, name="counter", key=key)))


@requirement("WIRE-085", "WIRE-086")
@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("letter", ["x", "é"], ids=["plain", "wide"])
async def test_lengths_of_a_key(conform, method, letter):
    """A key has one to 1024 bytes, whatever characters they are; what is refused shows its first 1024 bytes."""
    answer = await call(conform, method, "/actors", json=creation(conform, key=""))
    refused(answer, 400, "actor.empty_key", "Key label cannot be empty.")
    prefix = conform.unique_key()[0]
    prefix += "x" * (len(prefix) % 2)
    fits = prefix + letter * ((1024 - len(prefix)) // len(letter.encode()))
    assert len(fits.encode()) == 1024
    assert (await call(conform, method, "/actors", json=creation(conform, key=fits))).json()["actor"]["key"] == fits
    for more in ("y", "yz" * 600):
        answer = await call(conform, method, "/actors", json=creation(conform, key=fits + more))
        text = f"Key label too large (max 1024 bytes): {fits}"
        refused(answer, 400, "actor.key_too_large", text, {"max_size": 1024, "key_preview": fits})


@requirement("WIRE-088", "WIRE-089", "WIRE-087")
@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_where_and_what_is_created(conform, method):
    """The datacenter has to exist and the pool to be configured; the name may be any text, none included."""
    answer = await call(conform, method, "/actors", json=creation(conform, datacenter="moon"))
    refused(answer, 400, "datacenter.not_found", "The provided datacenter does not exist.")
    text = (
        f"No runner config with name 'no-such-pool' are available in any datacenter for the namespace '{conform.namespace}'. "
        "Validate a provider is listed that matches the requested pool name."
    )
    answer = await call(conform, method, "/actors", json=creation(conform, runner_name_selector="no-such-pool"))
    refused(answer, 400, "actor.no_runner_config_configured", text, {"namespace": conform.namespace, "pool_name": "no-such-pool"})
    [datacenter, *_] = (await call(conform, "GET", "/datacenters", scoped=False)).json()["datacenters"]
    actor = await created(conform, method=method, datacenter=datacenter["name"])
    assert actor["datacenter"] == datacenter["name"]
    for name in ("", "no such actor"):
        assert (await created(conform, name, method=method))["name"] == name


@requirement("WIRE-090")
async def test_many_at_once(conform):
    """Callers of a fresh key at the same moment get one actor, which one of them created."""
    body = creation(conform)
    answers = await asyncio.gather(*(call(conform, "PUT", "/actors", json=body) for _ in range(8)))
    found = [answer.json() for answer in answers if answer.status_code == 200]
    assert sum(one["created"] for one in found) <= 1
    assert {one["actor"]["actor_id"] for one in found} == set(ids(await listed(conform, name="counter", key=body["key"])))


@requirement("WIRE-100")
@timing
async def test_a_destroy_ends_with_the_actor(conform):
    """The answer to DELETE comes when the actor is gone, behind the work that it waited for."""
    actor = made(conform)
    actor_id = await actor.resolve()
    work = conform.spawn(conform.http.post(f"/gateway/{actor_id}/action/exec", json={"args": [[latch("at work"), op("return", value=1)]]}))
    await conform.latch("at work").arrived()
    delete = conform.spawn(call(conform, "DELETE", f"/actors/{actor_id}"))
    await asyncio.wait([delete], timeout=conform.limit(0.5))
    assert not delete.done()
    await conform.latch("at work").release()
    assert (await work).json() == {"output": 1}
    assert (await delete).json() == {}
    [gone] = await listed(conform, actor_ids=actor_id)
    assert gone["destroy_ts"] is not None


ORDERS = {
    "delete": ("DELETE", "", {}),
    "sleep": ("POST", "/sleep", {"json": {}}),
    "reschedule": ("POST", "/reschedule", {"json": {}}),
    "kv": ("GET", "/kv/keys/Aw%3D%3D", {}),
}


@requirement("WIRE-102", "WIRE-101")
@pytest.mark.parametrize("order", ORDERS)
@capability("namespaces")
async def test_orders_to_actors_of_nobody(conform, order):
    """An id that was never created, and one of another namespace, are not found; the other actor is left alone."""
    method, path, options = ORDERS[order]
    namespace = await own_namespace(conform)
    query = {"namespace": namespace}
    alive, gone = [await created(conform, query=query, runner_name_selector="idle") for _ in range(2)]
    assert (await call(conform, "DELETE", f"/actors/{gone['actor_id']}", query=query)).json() == {}
    # The peer calls a destroyed actor destroyed in any namespace.
    strangers = [new_id(), alive["actor_id"], *([] if order == "delete" else [gone["actor_id"]])]
    for actor_id in strangers:
        refused(await call(conform, method, f"/actors/{actor_id}{path}", **options), 400, "actor.not_found", NOT_FOUND)
    [record] = await listed(conform, actor_ids=alive["actor_id"], **query)
    assert record["destroy_ts"] is None
    if order == "delete":
        answer = await call(conform, "DELETE", f"/actors/{gone['actor_id']}", query=query)
        assert (answer.status_code, answer.json()) == (200, {})


@requirement("WIRE-111", "WIRE-112", "WIRE-113")
@capability("inspector")
async def test_entries_that_the_operator_reads(conform):
    """Keys are standard base64; one without a value, and one that is no base64, have errors of their own."""
    actor_id = (await created(conform))["actor_id"]
    await conform.get_for_id("counter", actor_id).action("getCount")

    async def read(segment):
        return await call(conform, "GET", f"/actors/{actor_id}/kv/keys/{segment}")

    missing = ("actor.kv_key_not_found", "The KV key does not exist for this actor.")
    for data in (b"other", b"\x03\x03", b"\xfb\xff"):
        refused(await read(base64.b64encode(data).decode().replace("/", "%2F").replace("+", "%2B")), 400, *missing)
    for segment in ("%21%21", "A", "-_8%3D"):
        refused(await read(segment), 500, "core.internal_error", "An internal error occurred")
    token = await read("Aw%3D%3D")
    if token.status_code == 200:  # a target with one fixed token has none to show (INSP-017)
        body = token.json()
        assert body.keys() == {"value", "update_ts"}
        assert base64.b64decode(body["value"], validate=True).decode().isascii()
        assert isinstance(body["update_ts"], int)
    else:
        refused(token, 400, *missing)
