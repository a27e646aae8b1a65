"""Pools: who hosts them, and how they travel."""

import pytest

from runtime.errors import ActorError
from runtime.hosting.options import HostOptions
from runtime.hosting.standalone.namespaces import Namespace
from runtime.hosting.standalone.pools import NORMAL_POOL, envoy_to_json, hosted, pool_from_json, pool_to_json


def test_a_process_hosts_its_own_pool_unless_it_takes_any():
    assert hosted(HostOptions(pool="mine"), "mine")
    assert not hosted(HostOptions(pool="mine"), "other")
    assert hosted(HostOptions(pool="mine", any_pool=True), "other")


def test_defaults_are_filled_in_and_what_was_given_stays():
    given = pool_from_json({"default": {"normal": {"actor_eviction_rate": 2.0}, "x": 1}})
    assert given["default"]["normal"] == NORMAL_POOL["default"]["normal"] | {"actor_eviction_rate": 2.0}
    assert given["default"]["x"] == 1
    assert pool_to_json(given)["datacenters"]["default"]["protocol_version"] == 1
    assert "protocol_version" not in given["default"]


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"far": {"normal": {}}}, "datacenter.not_found"),
        ({"default": {}}, "api.bad_request"),
        ({"default": {"normal": 1}}, "api.bad_request"),
    ],
)
def test_bad_configurations(body, name):
    with pytest.raises(ActorError) as caught:
        pool_from_json(body)
    assert caught.value.name == name


def test_an_envoy_is_this_process():
    shown = envoy_to_json(Namespace("n", "here", "", 0), "mine", key="envoy-1", slots=2, started_ms=5, now_ms=9)
    assert (shown["pool_name"], shown["slots"], shown["create_ts"], shown["last_ping_ts"]) == ("mine", 2, 5, 9)
