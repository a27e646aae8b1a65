"""Suite manager-paging: which actors, names and namespaces a list has, in which order, and where a page ends and the next begins."""

from __future__ import annotations

import pytest

from driver_tests.managing import call, created, creation, ids, listed, own_namespace, refused
from harness import any_encoding, capability, requirement, suite

pytestmark = [suite("manager-paging"), any_encoding]


async def page(conform, path="/actors", **query):
    """The answer of a list call."""
    response = await call(conform, "GET", path, query=query)
    assert response.status_code == 200, response.text
    return response.json()


async def apart(conform, clock, count, name="counter", **options):
    """Records of new actors, oldest first, of which no two were created in the same millisecond."""
    found = []
    for _ in range(count):
        found.append(await created(conform, name, **options))
        await clock.sleep(0.003)
    assert len({one["create_ts"] for one in found}) == count
    return found


async def idle(conform, clock, count, **options):
    """A namespace of its own with so many actors that nobody serves."""
    namespace = await own_namespace(conform)
    query = {"namespace": namespace}
    return namespace, await apart(conform, clock, count, runner_name_selector="idle", query=query, **options)


@requirement("WIRE-069", "WIRE-068", "WIRE-070")
@capability("namespaces")
@pytest.mark.timeout(120)
async def test_a_page_without_a_limit(conform, clock):
    """It has the newest hundred; the one that is left comes behind the cursor, and behind that nothing."""
    namespace, actors = await idle(conform, clock, 101)
    newest = ids(actors)[::-1]
    first = await page(conform, namespace=namespace, name="counter")
    assert ids(first["actors"]) == newest[:100]
    assert first["pagination"] == {"cursor": str(actors[1]["create_ts"])}
    assert ids((await page(conform, namespace=namespace, name="counter", limit="101"))["actors"]) == newest
    rest = await page(conform, namespace=namespace, name="counter", cursor=first["pagination"]["cursor"])
    assert (ids(rest["actors"]), rest["pagination"]) == (newest[100:], {"cursor": str(actors[0]["create_ts"])})
    end = await page(conform, namespace=namespace, name="counter", cursor=rest["pagination"]["cursor"])
    assert end == {"actors": [], "pagination": {"cursor": None}}


@requirement("WIRE-070", "WIRE-068", "WIRE-069")
@capability("namespaces")
async def test_pages(conform, clock):
    """Pages together are the list, newest first, nothing twice; the cursor is the creation time of the last of a page, as a text."""
    namespace, actors = await idle(conform, clock, 5)
    pages, cursor = [], None
    for _ in range(4):
        answer = await page(conform, namespace=namespace, name="counter", limit="2", **({} if cursor is None else {"cursor": cursor}))
        cursor = answer["pagination"]["cursor"]
        assert cursor == (str(answer["actors"][-1]["create_ts"]) if answer["actors"] else None)
        pages.append(ids(answer["actors"]))
    five = ids(actors)
    assert pages == [[five[4], five[3]], [five[2], five[1]], [five[0]], []]
    assert await page(conform, namespace=namespace, name="counter", limit="0") == {"actors": [], "pagination": {"cursor": None}}


@requirement("WIRE-070")
async def test_a_cursor_that_is_no_number(conform):
    """It is an internal error, and no list."""
    answer = await call(conform, "GET", "/actors", query={"name": "counter", "cursor": "x1"})
    refused(answer, 500, "core.internal_error", "An internal error occurred")


@requirement("WIRE-066", "WIRE-068", "WIRE-162")
@capability("namespaces")
async def test_lists_are_of_one_namespace_and_one_name(conform, clock):
    """Actors of other names and of other namespaces are in no list, whatever is asked for."""
    namespace, [actor] = await idle(conform, clock, 1, key="same")
    other = await created(conform, "sleep", query={"namespace": namespace}, runner_name_selector="idle", key="same")
    here = await created(conform)
    foreign = await own_namespace(conform, "-b")
    gone = await created(conform, query={"namespace": foreign}, runner_name_selector="idle", key="same")
    assert (await call(conform, "DELETE", f"/actors/{gone['actor_id']}", query={"namespace": foreign})).json() == {}
    for more in ({}, {"include_destroyed": "true"}, {"key": "same"}, {"key": "same", "include_destroyed": "true"}):
        assert ids(await listed(conform, namespace=namespace, name="counter", **more)) == [actor["actor_id"]]
    three = ",".join([actor["actor_id"], here["actor_id"], gone["actor_id"], other["actor_id"]])
    assert set(ids(await listed(conform, namespace=namespace, actor_ids=three))) == {actor["actor_id"], other["actor_id"]}
    assert ids(await listed(conform, actor_ids=three, include_destroyed="true")) == [here["actor_id"]]


@requirement("WIRE-067", "WIRE-068", "WIRE-065", "WIRE-082")
async def test_generations_of_a_key(conform, clock):
    """Without the destroyed a key has one actor or none; with them all that it ever had, newest first."""
    key = conform.unique_key()[0]
    actors = []
    for _ in range(3):
        actors += await apart(conform, clock, 1, key=key)
        assert ids(await listed(conform, name="counter", key=key)) == [actors[-1]["actor_id"]]
        assert (await call(conform, "DELETE", f"/actors/{actors[-1]['actor_id']}")).json() == {}
        assert await listed(conform, name="counter", key=key) == []
    newest = ids(actors)[::-1]
    assert len(set(newest)) == 3
    all_of_them = await listed(conform, name="counter", key=key, include_destroyed="true")
    assert ids(all_of_them) == newest
    assert all(one["destroy_ts"] >= one["create_ts"] and one["connectable_ts"] is None for one in all_of_them)
    assert ids(await listed(conform, name="counter", key=key, include_destroyed="false")) == []
    for flag in ({}, {"include_destroyed": "false"}, {"include_destroyed": "true"}):
        assert sorted(ids(await listed(conform, actor_ids=",".join(newest), **flag))) == sorted(newest)
    fourth = await created(conform, key=key)
    assert ids(await listed(conform, name="counter", key=key, include_destroyed="true")) == [fourth["actor_id"], *newest]


@requirement("WIRE-068", "WIRE-065")
@capability("namespaces")
async def test_destroyed_actors_of_a_name(conform, clock):
    """A list by name has them only when asked, in their place by creation."""
    namespace, actors = await idle(conform, clock, 3)
    first, second, third = ids(actors)
    assert (await call(conform, "DELETE", f"/actors/{second}", query={"namespace": namespace})).json() == {}
    for more, expected in (({}, [third, first]), ({"include_destroyed": "true"}, [third, second, first])):
        assert ids(await listed(conform, namespace=namespace, name="counter", **more)) == expected
    answer = await page(
        conform, namespace=namespace, name="counter", include_destroyed="true", limit="1", cursor=str(actors[2]["create_ts"])
    )
    assert ids(answer["actors"]) == [second]


@requirement("WIRE-067", "WIRE-162")
async def test_a_key_is_all_of_it(conform):
    """Beginnings, ends and parts of a key find nothing; neither does another case."""
    key = conform.unique_key()[0]
    whole = await created(conform, key=f"{key}/a/b")
    for other in (key, f"{key}/a", f"{key}/a/", f"{key}/a/b/", f"{key}/a/b/c", "a/b", f"{key}/A/b", f"{key}/a%2Fb", rf"{key}/a\/b"):
        assert await listed(conform, name="counter", key=other) == []
    assert ids(await listed(conform, name="counter", key=f"{key}/a/b")) == [whole["actor_id"]]


@requirement("WIRE-110")
@capability("namespaces")
async def test_names_that_were_used(conform):
    """A name is listed once an actor had it, registered or not; pages go on strictly behind the last name of the one before."""
    namespace = await own_namespace(conform)
    prefix = conform.unique_key()[0]
    names = [f"{prefix}-{end}" for end in "bca"]
    for name in [*names, names[0]]:
        await created(conform, name, query={"namespace": namespace}, runner_name_selector="idle")
    one, two, three = sorted(names)

    async def after(cursor, limit):
        answer = await page(conform, "/actors/names", namespace=namespace, cursor=cursor, limit=limit)
        return sorted(answer["names"]), answer["pagination"]["cursor"], list(answer["names"].values())

    assert await after(f"{prefix}-", "2") == ([one, two], two, [{"metadata": {}}] * 2)
    assert await after(one, "1") == ([two], two, [{"metadata": {}}])
    assert (await after(two, "1"))[0] == [three]
    assert three not in (await after(three, "100"))[0]
    assert await after(one, "0") == ([], None, [])
    elsewhere = (await page(conform, "/actors/names", cursor=f"{prefix}-", limit="3"))["names"]
    assert not elsewhere.keys() & set(names)


@requirement("WIRE-110")
async def test_names_that_are_registered(conform):
    """Page after page lists them, each with what it is called and its icon, if it has them."""
    names, cursor = {}, None
    while True:
        answer = await page(conform, "/actors/names", limit="50", **({} if cursor is None else {"cursor": cursor}))
        if not answer["names"]:
            break
        assert not answer["names"].keys() & names.keys()
        assert cursor is None or min(answer["names"]) > cursor
        names |= answer["names"]
        cursor = answer["pagination"]["cursor"]
        assert cursor == max(answer["names"])
    # No test makes an actor of the last one: it is there because it is registered.
    assert {"counter", "interpreter", "sleep", "warmupActor"} <= names.keys()
    assert all(one.keys() == {"metadata"} and None not in one["metadata"].values() for one in names.values())
    assert names["counter"] == {"metadata": {}}


@requirement("WIRE-122", "WIRE-120")
@capability("namespaces")
async def test_namespaces(conform, clock):
    """By name there is one or none and never a cursor; without one the cursor is the creation time of the last."""
    first = await own_namespace(conform, "-1", pool=False)
    await clock.sleep(0.003)
    second = await own_namespace(conform, "-2", pool=False)

    async def ask(**query):
        answer = (await call(conform, "GET", "/namespaces", query=query, scoped=False)).json()
        return answer["namespaces"], answer["pagination"]

    for name in (first, second):
        [found], pagination = await ask(name=name)
        assert found.keys() == {"namespace_id", "name", "display_name", "create_ts"}
        assert (found["name"], found["display_name"], pagination) == (name, "x", {"cursor": None})
    assert await ask(name="no-such-namespace") == ([], {"cursor": None})
    assert await ask(name=first[:-1]) == ([], {"cursor": None})
    [default], _ = await ask(name="default")
    assert default["display_name"] == "Default"
    found, pagination = await ask(limit="1")
    assert (len(found), pagination) == (1, {"cursor": str(found[0]["create_ts"])})


@requirement("WIRE-121")
@capability("namespaces")
async def test_names_of_namespaces(conform):
    """Up to 64 characters of a name, up to 128 of a display name; small letters, digits, single dashes inside; a name once."""
    prefix = (await own_namespace(conform, pool=False)).rstrip("-")[:20].strip("-")

    async def make(name, display="x"):
        return await call(conform, "POST", "/namespaces", scoped=False, json={"name": name, "display_name": display})

    longest = (prefix + "-" + "x" * 64)[:63] + "0"
    for name, display in ((longest, "x"), (f"{prefix}-d", "é" * 64), (f"{prefix}-e", "x" * 128), (f"{prefix}-0-9", "A b_c!")):
        answer = await make(name, display)
        assert answer.status_code == 200, answer.text
        made = answer.json()["namespace"]
        assert made.keys() == {"namespace_id", "name", "display_name", "create_ts"}
        assert (made["name"], made["display_name"]) == (name, display)
    faults = {
        "name too short": [("", "x")],
        "name too long": [(longest + "x", "x")],
        "invalid name": [(prefix + end, "x") for end in ("--a", "-", "A", "_a", ".a", " a", "é")] + [("-" + prefix, "x")],
        "display name too long": [(f"{prefix}-f", "x" * 129)],
        "display name too short": [(f"{prefix}-f", "")],
    }
    for reason, cases in faults.items():
        for name, display in cases:
            text = f"Failed to create namespace: {reason}"
            refused(await make(name, display), 400, "namespace.failed_to_create", text, {"reason": reason})
    refused(await make(longest), 400, "namespace.name_not_unique", "Namespace name must be unique.")


@requirement("WIRE-125", "WIRE-124")
async def test_pools_that_are_unknown(conform):
    """An unknown pool has no envoys and no configuration; the pool of the fixtures has both, alone."""
    assert (await page(conform, "/envoys", name="no-such-pool"))["envoys"] == []
    envoys = (await page(conform, "/envoys", name=conform.pool))["envoys"]
    assert envoys
    fields = {
        "envoy_key", "namespace_id", "datacenter", "pool_name", "version", "slots", "create_ts", "stop_ts", "last_ping_ts",
        "last_connected_ts", "last_rtt", "metadata",
    }  # fmt: skip
    assert all(one.keys() >= fields and one["pool_name"] == conform.pool for one in envoys)
    for query in ({"runner_name": ["no-such-pool", conform.pool]}, {"runner_names": f"no-such-pool,{conform.pool}"}):
        found = await page(conform, "/runner-configs", **query)
        assert found["runner_configs"].keys() == {conform.pool}
        assert found["pagination"] == {"cursor": None}
    assert (await page(conform, "/runner-configs", runner_name="no-such-pool"))["runner_configs"] == {}


@requirement("WIRE-123", "WIRE-087", "WIRE-088")
@capability("namespaces")
async def test_pools_are_written_and_removed(conform):
    """A removed pool takes no actors; a write replaces what was there, and a wrong one changes nothing."""
    namespace = await own_namespace(conform)
    query = {"namespace": namespace}
    body = creation(conform, runner_name_selector="idle")
    assert (await call(conform, "PUT", "/actors", query=query, json=body)).status_code == 200
    for wrong, name, message in (({"moon": {"normal": {}}}, "datacenter.not_found", "The provided datacenter does not exist."),):
        refused(await call(conform, "PUT", "/runner-configs/idle", query=query, json={"datacenters": wrong}), 400, name, message)
    assert (await page(conform, "/runner-configs", **query))["runner_configs"].keys() == {"idle"}
    deleted = await call(conform, "DELETE", "/runner-configs/idle", query=query)
    assert (deleted.status_code, deleted.json()) == (200, {})
    assert (await page(conform, "/runner-configs", **query))["runner_configs"] == {}
    text = (
        f"No runner config with name 'idle' are available in any datacenter for the namespace '{namespace}'. "
        "Validate a provider is listed that matches the requested pool name."
    )
    for method in ("PUT", "POST"):
        answer = await call(conform, method, "/actors", query=query, json=creation(conform, runner_name_selector="idle"))
        refused(answer, 400, "actor.no_runner_config_configured", text, {"namespace": namespace, "pool_name": "idle"})
