"""Pools: which ones a process hosts, and how they look in the REST API (WIRE-123..127)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.errors import make_error
from runtime.hosting.standalone.namespaces import DATACENTER

if TYPE_CHECKING:
    from runtime.hosting.options import HostOptions
    from runtime.hosting.standalone.namespaces import Namespace

PROTOCOL_VERSION = 1
_NORMAL = {
    "drain_on_version_upgrade": True,
    "actor_eviction_delay": 0,
    "actor_eviction_period": 0,
    "actor_eviction_rate": 1.0,
}
NORMAL_POOL: dict[str, Any] = {DATACENTER: {"normal": _NORMAL}}
"""The configuration every process has for its own pool."""


def hosted(options: HostOptions, pool: str) -> bool:
    """Whether a process with these options runs actors of `pool`."""
    return options.any_pool or pool == options.pool


def pool_from_json(body: dict[str, Any]) -> dict[str, Any]:
    """The stored form of the `datacenters` member of a PUT.

    Raises:
        ActorError: `datacenter.not_found`, or `api.bad_request` for a value with neither `normal` nor `serverless`.
    """
    config = {}
    for datacenter, value in body.items():
        if datacenter != DATACENTER:
            raise make_error("datacenter.not_found")
        if not isinstance(value, dict) or not ("normal" in value or "serverless" in value):
            raise make_error("api.bad_request", reason="a runner config needs `normal` or `serverless`")
        # Members that this host does not know are kept: the caller reads back what it wrote.
        kept = dict(value)
        if "normal" in kept:
            if not isinstance(kept["normal"], dict):
                raise make_error("api.bad_request", reason="`normal` must be an object")
            kept["normal"] = _NORMAL | kept["normal"]
        config[datacenter] = kept
    return config


def pool_to_json(config: dict[str, Any]) -> dict[str, Any]:
    """What GET /runner-configs shows for one pool (WIRE-123)."""
    return {"datacenters": {name: {**value, "protocol_version": PROTOCOL_VERSION} for name, value in config.items()}}


def envoy_to_json(namespace: Namespace, pool: str, *, key: str, slots: int, started_ms: int, now_ms: int) -> dict[str, Any]:
    """The envoy object of this process for one pool (WIRE-125)."""
    return {
        "envoy_key": key,
        "namespace_id": namespace.namespace_id,
        "datacenter": DATACENTER,
        "pool_name": pool,
        "version": 1,
        "slots": slots,
        "create_ts": started_ms,
        "stop_ts": None,
        "last_ping_ts": now_ms,
        "last_connected_ts": started_ms,
        # There is no connection to an engine whose round trip could be measured.
        "last_rtt": 0,
        "metadata": {},
    }
