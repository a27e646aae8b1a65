"""Where an envoy connects, and why it was sent away (ENGINE section 3)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import quote

from runtime.hosting.engine.protocol.messages import PROTOCOL_VERSION

_KEY = re.compile(r"[0-9A-Za-z_](?:[0-9A-Za-z_-]{1,126})[0-9A-Za-z_]")
MAX_VERSION = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Address:
    """Where to connect, and as whom.

    Args:
        url: The engine, `http(s)://host:port`.
        namespace: The name of the namespace.
        pool: The name of the pool, which must have a configuration.
        envoy_key: One per process, the same for all of its connections (ENGINE-032).
        version: The deployment: new actors go to envoys of the highest one. Never another for one key.
        token: What the engine asks of its callers, if it does.

    Raises:
        ValueError: The engine would refuse it (ENGINE-033).
    """

    url: str
    namespace: str
    pool: str
    envoy_key: str
    version: int = 1
    token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f"the URL of an engine begins with http:// or https://, not {self.url!r}")
        if not _KEY.fullmatch(self.envoy_key):
            raise ValueError(f"{self.envoy_key!r} is no key of an envoy: 3 to 128 letters, digits, '_' and '-'")
        if not 0 <= self.version <= MAX_VERSION:
            raise ValueError(f"a version is a number from 0 to {MAX_VERSION}, not {self.version}")

    @property
    def uri(self) -> str:
        """The address of the WebSocket (ENGINE-031)."""
        base = "ws" + self.url.removeprefix("http").rstrip("/")
        return (
            f"{base}/envoys/connect?protocol_version={PROTOCOL_VERSION}&namespace={quote(self.namespace, safe='')}"
            f"&envoy_key={self.envoy_key}&version={self.version}&pool_name={quote(self.pool, safe='')}"
        )

    @property
    def protocols(self) -> list[str]:
        """The sub-protocols to offer (ENGINE-030)."""
        return ["rivet"] if self.token is None else ["rivet", f"rivet_token.{self.token}"]


@dataclass(frozen=True, slots=True)
class Farewell:
    """How a connection ended: a close frame of the engine, or without one what went wrong."""

    code: int | None
    reason: str

    @property
    def name(self) -> str:
        """`group.code`, or what went wrong (ENGINE-034)."""
        return self.reason.partition("#")[0]

    @property
    def evicted(self) -> bool:
        """Whether another connection took the key of this envoy (ENGINE-052)."""
        return self.code == 1000 and self.name == "ws.eviction"

    def __str__(self) -> str:
        return self.name if self.code is None else f"{self.name or 'no reason'} ({self.code})"
