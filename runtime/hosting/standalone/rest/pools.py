"""REST endpoints about pools and the processes that serve them (WIRE-123..127)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from runtime import clock
from runtime.hosting.standalone.pools import envoy_to_json, pool_from_json, pool_to_json
from runtime.hosting.standalone.rest.bodies import PutRunnerConfig, decode_body
from runtime.hosting.standalone.rest.request import NO_CURSOR, bad_request
from runtime.protocol.ids import new_id
from runtime.replies import Reply, json_reply

if TYPE_CHECKING:
    from runtime.hosting.standalone.namespaces import Namespace, NamespaceBook
    from runtime.hosting.standalone.rest.request import Authorize, Query, RestRequest

MAX_POOLS = 1000
"""Per namespace."""


class PoolsHost(Protocol):
    """What these endpoints need of the host."""

    @property
    def namespaces(self) -> NamespaceBook:
        """All namespaces, with their pools."""
        ...

    @property
    def started_ms(self) -> int:
        """When the host was opened, in milliseconds."""
        ...

    def load(self, namespace: Namespace, pool: str) -> int:
        """How many generations of a pool there are."""
        ...

    def serves(self, namespace: Namespace, pool: str) -> bool:
        """Whether this process hosts actors of the pool."""
        ...

    def pool_configured(self, namespace: Namespace, pool: str) -> None:
        """A pool became available."""


class PoolEndpoints:
    """Lists the processes that serve pools, configures pools."""

    def __init__(self, host: PoolsHost, authorize: Authorize) -> None:
        self._host = host
        self._authorize = authorize
        # It names the process: a new one with every start, the same for every pool.
        self._envoy_key = f"envoy-{new_id()}"

    async def envoys(self, request: RestRequest) -> Reply:
        """GET /envoys: this process, once for every configured pool it serves (WIRE-125)."""
        query = request.query("name", "limit", "cursor", repeatable=("envoy_key",))
        namespace = self._entered(request, query)
        wanted, keys, before = query.text("name"), query.items("envoy_key"), query.before()
        served = [pool for pool in sorted(namespace.pools) if self._host.serves(namespace, pool)]
        # It serves them all from its start on. The list has them a millisecond apart, so that a page can end between any two.
        started = {pool: self._host.started_ms - place for place, pool in enumerate(served)}
        pools = [pool for pool in served if wanted in (None, pool) and (before is None or started[pool] < before)]
        if keys and self._envoy_key not in keys:
            pools = []
        page = pools[: query.limit()]
        envoys = [self._envoy(namespace, pool, started[pool]) for pool in page]
        return json_reply({"envoys": envoys, "pagination": {"cursor": str(started[page[-1]]) if page else None}})

    async def runners(self, request: RestRequest) -> Reply:
        """GET /runners: there are no runners of the older kind."""
        query = request.query("name", "runner_ids", "include_stopped", "limit", "cursor", repeatable=("runner_id",))
        self._entered(request, query)
        return json_reply({"runners": [], **NO_CURSOR})

    async def runner_configs(self, request: RestRequest) -> Reply:
        """GET /runner-configs (WIRE-123, WIRE-124)."""
        query = request.query("runner_names", "variant", "limit", "cursor", repeatable=("runner_name",))
        namespace = self._entered(request, query)
        wanted = [text for text in (query.text("runner_names") or "").split(",") if text] + query.items("runner_name")
        variant = query.text("variant")
        shown = {
            pool: pool_to_json(config)
            for pool, config in sorted(namespace.pools.items())
            if (not wanted or pool in wanted) and (variant is None or any(variant in value for value in config.values()))
        }
        return json_reply({"runner_configs": dict(list(shown.items())[: query.limit()]), **NO_CURSOR})

    async def put_runner_config(self, request: RestRequest) -> Reply:
        """PUT /runner-configs/{pool} (WIRE-123)."""
        query = request.query()
        body = decode_body(PutRunnerConfig, request.header(b"content-type"), request.body)
        namespace, pool = self._entered(request, query), request.params[0]
        config = pool_from_json(body.datacenters)
        # All are in the one row of their namespace, which every change writes.
        if pool not in namespace.pools and len(namespace.pools) >= MAX_POOLS:
            raise bad_request("too many runner configs")
        # Only a serverless endpoint is somewhere: other members may change without anybody having to connect anew.
        changed = _endpoints(namespace.pools.get(pool, {})) != _endpoints(config)
        # A pool without a datacenter is in none: it is taken away.
        if config:
            namespace.pools[pool] = config
        else:
            namespace.pools.pop(pool, None)
        # Durable before actors are started on the strength of it.
        await self._host.namespaces.save(namespace)
        self._host.pool_configured(namespace, pool)
        return json_reply({"endpoint_config_changed": changed})

    async def delete_runner_config(self, request: RestRequest) -> Reply:
        """DELETE /runner-configs/{pool}."""
        namespace = self._entered(request, request.query())
        if namespace.pools.pop(request.params[0], None) is not None:
            await self._host.namespaces.save(namespace)
        return json_reply({})

    def _entered(self, request: RestRequest, query: Query) -> Namespace:
        self._authorize(request)
        return self._host.namespaces.require(query.required("namespace"))

    def _envoy(self, namespace: Namespace, pool: str, started_ms: int) -> dict[str, object]:
        slots = self._host.load(namespace, pool)
        return envoy_to_json(namespace, pool, key=self._envoy_key, slots=slots, started_ms=started_ms, now_ms=clock.now_ms())


def _endpoints(config: dict[str, dict[str, object]]) -> dict[str, object]:
    """The part of a configuration that names a serverless endpoint."""
    return {datacenter: value["serverless"] for datacenter, value in config.items() if "serverless" in value}
