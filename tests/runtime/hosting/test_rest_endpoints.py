"""The REST endpoints one by one, on a host of a few lines: no server, no actors."""

import base64
import json

import pytest

from runtime.actor.database.pool import DatabasePool
from runtime.declaration.definition import Actor
from runtime.declaration.registry import Registry
from runtime.errors import ActorError, make_error
from runtime.hosting.options import HostOptions
from runtime.hosting.standalone import records
from runtime.hosting.standalone.actor_keys import Directory
from runtime.hosting.standalone.actor_names import ActorNames
from runtime.hosting.standalone.destroyed import DestroyedRecords
from runtime.hosting.standalone.namespaces import Namespace
from runtime.hosting.standalone.pools import NORMAL_POOL
from runtime.hosting.standalone.records import ActorRecord
from runtime.hosting.standalone.rest.actors import ActorEndpoints
from runtime.hosting.standalone.rest.dispatch import RestApi
from runtime.hosting.standalone.rest.namespaces import NamespaceEndpoints
from runtime.hosting.standalone.rest.pools import PoolEndpoints
from runtime.hosting.standalone.rest.process import ProcessEndpoints
from runtime.hosting.standalone.rest.request import RestRequest
from runtime.hosting.standalone.slot import ActorSlot
from runtime.protocol.ids import new_id
from runtime.storage.base import HOST_SCOPE, Put
from runtime.storage.memory import MemoryStorage

JSON = {b"content-type": b"application/json"}
ORDER = {"name": "thing", "key": "k", "runner_name_selector": "mine", "crash_policy": "sleep"}


class Thing(Actor):
    name = "thing"


class Book(dict):
    """Namespaces by name."""

    def require(self, name):
        return self[name]

    def by_id(self, namespace_id):
        return next((one for one in self.values() if one.namespace_id == namespace_id), None)

    async def create(self, name, display_name):
        self[name] = Namespace(new_id(), name, display_name, 5)
        return self[name]

    async def save(self, namespace):
        self.saved = namespace

    def __iter__(self):
        return iter(self.values())

    def newest(self, before, limit):
        found = sorted(self.values(), key=lambda one: one.create_ts, reverse=True)
        return [one for one in found if before is None or one.create_ts < before][:limit]


class Host:
    """What the endpoints use of a host, and nothing else."""

    def __init__(self):
        self.registry, self.storage, self.options = Registry(Thing), MemoryStorage(), HostOptions(pool="mine")
        self.home = Namespace(new_id(), "home", "Home", 3, {"mine": NORMAL_POOL}, ActorNames({"seen"}))
        self.namespaces, self.directory, self.orders = Book(home=self.home), Directory(), []
        self.slots, self.find, self.newest = self.directory.slots, self.directory.find, self.directory.newest
        self.destroyed, self.loads, self.databases = DestroyedRecords(self.storage), {}, DatabasePool(1)
        self.started_ms, self.endpoint = 7, "http://here"

    def add(self, key="k", create_ts=1, name="thing"):
        record = ActorRecord(new_id(), self.home.namespace_id, name, key, "mine", create_ts)
        self.directory.add(slot := ActorSlot(record, self.home))
        return slot

    async def bury(self, slot, at_ms=2):
        """Destroy the actor as the supervisor does."""
        slot.record.destroy_ts = at_ms
        await self.storage.commit(HOST_SCOPE, slot.record.ops())
        self.directory.remove(slot)

    def load(self, namespace, pool):
        return self.loads.get(pool, 0)

    async def get_or_create(self, namespace, name, key, pool, input_cbor=None):
        found = next((slot for slot in self.slots.values() if slot.record.key == key), None)
        return (found, False) if found else (self.add(key), True)

    async def create(self, namespace, name, key, pool, input_cbor=None):
        return self.add(key)

    async def destroy(self, slot):
        self.orders.append(("destroy", slot.actor_id))

    def sleep(self, slot):
        self.orders.append(("sleep", slot.actor_id))

    def reschedule(self, slot):
        self.orders.append(("reschedule", slot.actor_id))

    def serves(self, namespace, pool):
        return pool == "mine"

    def pool_configured(self, namespace, pool):
        self.orders.append(("pool", pool))


@pytest.fixture
async def host():
    host = Host()
    await host.storage.open()
    return host


def free(_request):
    """Admits everybody."""


def shut(_request):
    raise make_error("api.forbidden")


def request(method="GET", query=b"namespace=home", body=None, params=()):
    return RestRequest(method, params, query, JSON, b"" if body is None else json.dumps(body).encode())


async def body_of(awaitable):
    return json.loads((await awaitable).body)


async def fault_of(awaitable):
    with pytest.raises(ActorError) as caught:
        await awaitable
    return caught.value.name


async def test_lists_go_from_new_to_old_and_a_page_names_where_the_next_begins(host):
    slots = [host.add(str(number), create_ts=number) for number in range(4)]
    host.add("other", name="other")
    actors = ActorEndpoints(host, free)
    page = await body_of(actors.list_actors(request(query=b"namespace=home&name=thing&limit=2")))
    assert [one["actor_id"] for one in page["actors"]] == [slots[3].actor_id, slots[2].actor_id]
    page = await body_of(actors.list_actors(request(query=b"namespace=home&name=thing&cursor=" + page["pagination"]["cursor"].encode())))
    assert [one["create_ts"] for one in page["actors"]] == [1, 0]


async def test_a_page_is_made_of_what_is_on_it(host, monkeypatch):
    """Nothing is decoded that is not shown, and no actor is looked at that was not asked for."""
    for number in range(300):
        one = host.add(f"k{number % 100}", create_ts=number)
        if number < 200:
            await host.bury(one)
    decoded, decode = [], records.decode
    monkeypatch.setattr("runtime.hosting.standalone.records.decode", lambda value: decoded.append(value) or decode(value))

    class Unread(dict):
        values = items = keys = __iter__ = None

    host.slots = Unread(host.slots)
    actors = ActorEndpoints(host, free)

    async def listed(query):
        decoded.clear()
        page = await body_of(actors.list_actors(request(query=b"namespace=home&name=thing&" + query)))
        return [one["create_ts"] for one in page["actors"]], len(decoded)

    assert await listed(b"key=k7") == ([207], 0)
    assert await listed(b"key=k7&include_destroyed=true") == ([207, 107, 7], 2)
    assert await listed(b"key=k7&include_destroyed=true&cursor=107") == ([7], 1)
    assert await listed(b"include_destroyed=true&limit=3") == ([299, 298, 297], 3)
    assert await listed(b"include_destroyed=true&limit=4&cursor=202") == ([201, 200, 199, 198], 4)
    assert await listed(b"limit=2&cursor=202") == ([201, 200], 0)
    assert await listed(b"key=k7&cursor=-1&include_destroyed=true") == ([], 0)
    assert (await listed(b"include_destroyed=true&limit=100000"))[0] == list(range(300))[::-1]


async def test_an_actor_that_is_destroyed_while_it_is_looked_for_is_found_once(host):
    slot = host.add(create_ts=5)
    find = host.destroyed.of_name

    async def destroyed_meanwhile(*asked):
        await host.bury(slot)
        return await find(*asked)

    host.destroyed.of_name = destroyed_meanwhile
    page = await body_of(ActorEndpoints(host, free).list_actors(request(query=b"namespace=home&name=thing&include_destroyed=true")))
    assert [one["actor_id"] for one in page["actors"]] == [slot.actor_id]


@pytest.mark.parametrize(("limit", "count"), [("0", 0), ("7", 7), ("0000000000000000000000007", 7), ("9" * 25, 1000), ("9" * 5000, 1000)])
def test_pages_are_bounded_whatever_is_asked_for(limit, count):
    assert request(query=b"namespace=home&limit=" + limit.encode()).query("limit").limit() == count


async def test_pools_of_a_namespace_are_bounded(host):
    host.home.pools |= {f"p{number}": NORMAL_POOL for number in range(999)}
    put = PoolEndpoints(host, free).put_runner_config
    config = {"datacenters": {"default": {"normal": {}}}}
    assert await fault_of(put(request("PUT", body=config, params=("one-more",)))) == "api.bad_request"
    assert (await put(request("PUT", body=config, params=("p7",)))).status == 200


async def test_every_envoy_is_on_some_page(host):
    host.home.pools |= dict.fromkeys("abcde", NORMAL_POOL)
    host.serves = lambda namespace, pool: True
    pools, cursor = PoolEndpoints(host, free), b""
    seen = []
    while (page := await body_of(pools.envoys(request(query=b"namespace=home&limit=2" + cursor))))["envoys"]:
        seen += [one["pool_name"] for one in page["envoys"]]
        cursor = b"&cursor=" + page["pagination"]["cursor"].encode()
    assert seen == ["a", "b", "c", "d", "e", "mine"]


async def test_who_knows_key_or_ids_needs_no_token_and_who_lists_does(host):
    slot, actors = host.add(), ActorEndpoints(host, shut)
    for query in (b"name=thing&key=k", b"actor_ids=" + slot.actor_id.encode()):
        assert len((await body_of(actors.list_actors(request(query=b"namespace=home&" + query))))["actors"]) == 1
    assert await fault_of(actors.list_actors(request(query=b"namespace=home&name=thing"))) == "api.forbidden"


async def test_creations_say_whether_they_created(host):
    actors = ActorEndpoints(host, free)
    answers = [await body_of(actors.get_or_create(request("PUT", body=ORDER))) for _ in range(2)]
    assert [answer["created"] for answer in answers] == [True, False]
    assert answers[0]["actor"]["actor_id"] == answers[1]["actor"]["actor_id"]
    assert (await body_of(actors.create(request("POST", body=ORDER | {"key": "k2"}))))["actor"]["key"] == "k2"
    assert await fault_of(actors.create(request("POST", body=ORDER | {"datacenter": "far"}))) == "datacenter.not_found"


async def test_orders_reach_the_host_and_only_for_actors_of_the_namespace(host):
    slot, actors = host.add(), ActorEndpoints(host, free)
    host.namespaces["far"] = Namespace("n2", "far", "Far", 1)
    for order in ("sleep", "reschedule", "destroy"):
        await getattr(actors, order)(request("POST", body={}, params=(slot.actor_id,)))
        there = request("POST", query=b"namespace=far", body={}, params=(slot.actor_id,))
        assert await fault_of(getattr(actors, order)(there)) == "actor.not_found"
    assert host.orders == [(order, slot.actor_id) for order in ("sleep", "reschedule", "destroy")]


async def test_names_are_those_declared_and_those_seen(host):
    shown = await body_of(ActorEndpoints(host, free).names(request()))
    assert list(shown["names"]) == ["seen", "thing"]


async def test_the_only_key_that_operators_read_is_the_inspector_token(host):
    slot, actors = host.add(), ActorEndpoints(host, free)
    asked = request(params=(slot.actor_id, base64.b64encode(b"\x03").decode()))
    assert await fault_of(actors.read_key(asked)) == "actor.kv_key_not_found"
    await host.storage.commit(slot.actor_id, [Put("actor", b"inspector", b"\x65token")])
    assert base64.b64decode((await body_of(actors.read_key(asked)))["value"]) == b"token"
    host.options = HostOptions(inspector_token="fixed")
    assert await fault_of(actors.read_key(asked)) == "actor.kv_key_not_found"


async def test_namespaces_by_name_by_id_and_in_pages(host):
    spaces = NamespaceEndpoints(host, free)
    made = (await body_of(spaces.create(request("POST", query=b"", body={"name": "n", "display_name": "N"}))))["namespace"]
    asked = [b"name=n", b"namespace_id=" + made["namespace_id"].encode(), b"limit=1", b"cursor=4"]
    names = [[one["name"] for one in (await body_of(spaces.list_namespaces(request(query=query))))["namespaces"]] for query in asked]
    assert names == [["n"], ["n"], ["n"], ["home"]]


async def test_pools_are_configured_and_their_envoy_is_this_process(host):
    pools = PoolEndpoints(host, free)
    host.loads["mine"] = 1
    (envoy,) = (await body_of(pools.envoys(request())))["envoys"]
    assert (envoy["pool_name"], envoy["slots"], envoy["create_ts"]) == ("mine", 1, 7)
    config = {"datacenters": {"default": {"serverless": {"url": "x"}}}}
    for changed in (True, False):
        answer = await body_of(pools.put_runner_config(request("PUT", body=config, params=("p",))))
        assert answer == {"endpoint_config_changed": changed}
    assert host.orders == [("pool", "p")] * 2
    assert list((await body_of(pools.runner_configs(request())))["runner_configs"]) == ["mine", "p"]
    await pools.delete_runner_config(request("DELETE", params=("p",)))
    assert list(host.home.pools) == ["mine"]


async def test_the_process_lives_and_says_where(host):
    process = ProcessEndpoints(host, free)
    assert (await body_of(process.health(request())))["status"] == "ok"
    assert (await body_of(process.datacenters(request())))["datacenters"][0]["url"] == "http://here"


async def test_dispatch_finds_the_endpoint_and_keeps_the_common_rules(host):
    slot, api = host.add(), RestApi(host, "secret")

    async def ask(method, path, query=b"namespace=home", **headers):
        async def receive():
            return {"type": "http.request", "body": b"{}"}

        return await api.handle(method, path, query, JSON | {name.encode(): value for name, value in headers.items()}, receive)

    path = f"/actors/{slot.actor_id}".encode()
    assert (await ask("DELETE", path)).status == 403
    assert (await ask("DELETE", path, authorization=b"Bearer secret")).status == 200
    assert (await ask("PATCH", path)).headers == ((b"allow", b"DELETE"),)
    assert (await ask("GET", b"/nothing")).status == 404
    assert (await ask("POST", path + b"/sleep", authorization=b"Bearer secret", origin=b"http://o")).headers[1] == (
        b"access-control-allow-origin", b"http://o",
    )  # fmt: skip
