"""The manager's REST API (WIRE section 2)."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from client.transport import USER_AGENT, Transport, decoded
from runtime.protocol import jsontext
from runtime.protocol.encodings import Encoding
from runtime.protocol.gateway_url import encode_input
from runtime.protocol.keys import serialize_key
from runtime.protocol.values import UNDEFINED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from client.config import ClientConfig

Record = dict[str, Any]


class ManagerApi:
    """Every call appends the client's namespace and raises `ActorError` for a structured failure (WIRE-903)."""

    def __init__(self, transport: Transport, config: ClientConfig) -> None:
        self._transport = transport
        self._config = config

    async def call(
        self,
        method: str,
        path: str,
        query: dict[str, Any] | None = None,
        body: Any = UNDEFINED,
        *,
        scoped: bool = True,
        within: float | None = None,
    ) -> Any:
        """One call; returns the decoded body, None for an empty one. `scoped` adds `namespace`; `within` is a limit in seconds of its own.

        Raises:
            ActorError: A structured failure, or client.timed_out.
            HttpFailureError, httpx.HTTPError: Any other.
            ClientDisposedError: The client was disposed.
        """
        params = {"namespace": self._config.namespace} if scoped else {}
        params.update({name: value for name, value in (query or {}).items() if value is not None})
        text = "&".join(f"{quote(name, safe='')}={quote(str(value), safe='')}" for name, value in params.items())
        # No encoding is said: the manager speaks JSON to everybody (WIRE-903), whatever actors are spoken to in.
        headers = {"user-agent": USER_AGENT, **self._config.headers}
        if self._config.token is not None:
            headers["authorization"] = f"Bearer {self._config.token}"
        content = b""
        if body is not UNDEFINED:
            headers["content-type"] = "application/json"
            content = jsontext.dumps(body)
        url = f"{self._config.endpoint}{path}" + (f"?{text}" if text else "")
        response = await self._transport.request(method, url, headers=headers, content=content, within=within)
        return decoded(response, _json, Encoding.JSON)

    async def metadata(self) -> Record:
        """`GET /metadata`."""
        found: Record = await self.call("GET", "/metadata", within=self._config.limits.metadata)
        return found

    async def list_actors(
        self,
        *,
        name: str | None = None,
        key: Sequence[str] | None = None,
        actor_ids: Sequence[str] | None = None,
        include_destroyed: bool | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Record:
        """`GET /actors`: `{actors, pagination}`."""
        query = {
            "name": name,
            "key": None if key is None else serialize_key(key),
            "actor_ids": None if actor_ids is None else ",".join(actor_ids),
            "include_destroyed": None if include_destroyed is None else str(include_destroyed).lower(),
            "limit": limit,
            "cursor": cursor,
        }
        found: Record = await self.call("GET", "/actors", query)
        return found

    async def get_actor(self, actor_id: str) -> Record | None:
        """One actor's record, None when the manager lists none."""
        # By the list, as WIRE-919 has it: an actor that is not there is an empty list, and no error to tell from others.
        actors = (await self.list_actors(actor_ids=[actor_id]))["actors"]
        return actors[0] if actors else None

    async def find_actor(self, name: str, key: Sequence[str]) -> Record | None:
        """The live actor with that name and key."""
        actors = (await self.list_actors(name=name, key=key))["actors"]
        return actors[0] if actors else None

    async def create_actor(
        self, name: str, key: Sequence[str] | None = None, *, value: Any = UNDEFINED, pool: str | None = None, region: str | None = None
    ) -> Record:
        """`POST /actors`; raises actor.duplicate_key when the key is taken (WIRE-083)."""
        created = await self.call("POST", "/actors", body=self._creation(name, key, value, pool, region))
        record: Record = created["actor"]
        return record

    async def get_or_create_actor(
        self, name: str, key: Sequence[str], *, value: Any = UNDEFINED, pool: str | None = None, region: str | None = None
    ) -> tuple[Record, bool]:
        """`PUT /actors`: the record and whether it was created."""
        found = await self.call("PUT", "/actors", body=self._creation(name, key, value, pool, region))
        return found["actor"], found["created"]

    def _creation(self, name: str, key: Sequence[str] | None, value: Any, pool: str | None, region: str | None) -> Record:
        body: Record = {"name": name, "runner_name_selector": pool or self._config.pool, "crash_policy": "sleep"}
        if key is not None:
            body["key"] = serialize_key(key)
        if value is not UNDEFINED:
            body["input"] = base64.b64encode(encode_input(value)).decode()
        if region is not None:
            body["datacenter"] = region
        return body

    async def destroy_actor(self, actor_id: str) -> None:
        """`DELETE /actors/{id}`; returns when it is destroyed (WIRE-100)."""
        await self.call("DELETE", f"/actors/{quote(actor_id, safe='')}")

    async def sleep_actor(self, actor_id: str) -> None:
        """`POST /actors/{id}/sleep` (WIRE-103)."""
        await self.call("POST", f"/actors/{quote(actor_id, safe='')}/sleep", body={})

    async def reschedule_actor(self, actor_id: str) -> None:
        """`POST /actors/{id}/reschedule`."""
        await self.call("POST", f"/actors/{quote(actor_id, safe='')}/reschedule", body={})

    async def actor_names(self, *, limit: int | None = None, cursor: str | None = None) -> Record:
        """`GET /actors/names`."""
        found: Record = await self.call("GET", "/actors/names", {"limit": limit, "cursor": cursor})
        return found

    async def kv_value(self, actor_id: str, key: bytes) -> Record:
        """`GET /actors/{id}/kv/keys/{key}` (WIRE-111)."""
        encoded = quote(base64.b64encode(key).decode(), safe="")
        found: Record = await self.call("GET", f"/actors/{quote(actor_id, safe='')}/kv/keys/{encoded}")
        return found

    async def create_namespace(self, name: str, display_name: str | None = None) -> Record:
        """`POST /namespaces`."""
        created = await self.call("POST", "/namespaces", body={"name": name, "display_name": display_name or name}, scoped=False)
        record: Record = created["namespace"]
        return record

    async def datacenters(self) -> list[Record]:
        """`GET /datacenters`."""
        found: list[Record] = (await self.call("GET", "/datacenters", scoped=False))["datacenters"]
        return found

    async def put_runner_config(self, pool: str, datacenter: str = "default") -> Record:
        """`PUT /runner-configs/{pool}` with an ordinary pool."""
        body: Record = {"datacenters": {datacenter: {"normal": {}}}}
        found: Record = await self.call("PUT", f"/runner-configs/{quote(pool, safe='')}", body=body)
        return found

    async def envoys(self, pool: str) -> list[Record]:
        """`GET /envoys` of a pool."""
        found: list[Record] = (await self.call("GET", "/envoys", {"name": pool}))["envoys"]
        return found


def _json(body: bytes, _: Encoding) -> Any:
    return jsontext.loads(body) if body else None
