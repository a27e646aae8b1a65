"""What a handle names: an actor by key or by id, and how to address it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from client.configuration_error import ConfigurationError
from runtime.errors import make_error
from runtime.protocol import jsontext
from runtime.protocol.gateway_url import direct_path, encode_input, query_path
from runtime.protocol.values import UNDEFINED, to_wire

if TYPE_CHECKING:
    from client.config import ClientConfig
    from client.manager import ManagerApi
    from client.retry import RetryPolicy

GET, GET_OR_CREATE = "get", "getOrCreate"


@dataclass(frozen=True, slots=True)
class ActorQuery:
    """`actor_id` set: that actor for ever. Otherwise a dynamic query by name and key."""

    name: str
    key: tuple[str, ...] = ()
    method: str = GET
    actor_id: str | None = None
    input: Any = UNDEFINED
    region: str | None = None
    pool: str | None = None

    @property
    def is_dynamic(self) -> bool:
        """Whether the actor behind the query may change."""
        return self.actor_id is None

    def attempts(self, policy: RetryPolicy) -> int:
        """Attempts of the inner retry loop (WIRE section 11.3)."""
        if self.actor_id is not None:
            return 1
        return policy.attempts_get_or_create if self.method == GET_OR_CREATE else policy.attempts_get

    async def resolve(self, rest: ManagerApi) -> str:
        """The actor's id (WIRE-911).

        Raises:
            ActorError: actor.not_found for a missing `get` key.
        """
        if self.actor_id is not None:
            return self.actor_id
        if self.method == GET_OR_CREATE:
            record, _ = await rest.get_or_create_actor(self.name, self.key, value=self.input, pool=self.pool, region=self.region)
            return str(record["actor_id"])
        found = await rest.find_actor(self.name, self.key)
        if found is None:
            text = f"Actor not found: {self.name}:{json.dumps(list(self.key))} (https://www.rivet.dev/docs/clients/javascript)"
            raise make_error("actor.not_found", message=text)
        return str(found["actor_id"])

    def url(self, config: ClientConfig, path: str, *, actor_id: str | None = None, skip_ready_wait: bool = False) -> str:
        """The gateway URL of `path`: direct for an id, else the query form (WIRE-905).

        Raises:
            ConfigurationError: The creation input is too large for a query (WIRE-906).
        """
        known = actor_id or self.actor_id
        if known is not None:
            return config.endpoint + direct_path(known, path, config.token)
        return config.endpoint + query_path(
            self.name,
            namespace=config.namespace,
            method=self.method,
            key=self.key,
            path=path,
            pool=self.pool or config.pool,
            input_cbor=self._input(config),
            region=self.region,
            token=config.token,
            skip_ready_wait=skip_ready_wait,
        )

    def _input(self, config: ClientConfig) -> bytes | None:
        if self.input is UNDEFINED or self.method != GET_OR_CREATE:
            return None
        data = encode_input(self.input)
        if len(data) > config.max_input_size:
            raise ConfigurationError(
                f"Actor query input exceeds maxInputSize ({len(data)} > {config.max_input_size} bytes). "
                "Increase client maxInputSize to allow larger query payloads."
            )
        return data


def params_header(params: Any) -> str | None:
    """Connection parameters as JSON text, None when there are none."""
    return None if params is None or params is UNDEFINED else jsontext.dumps(to_wire(params)).decode()
