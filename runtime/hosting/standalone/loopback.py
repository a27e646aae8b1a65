"""Clients of this host to its own gateway, for calls from actor to actor.

Such a call takes the way of every other: through the gateway, with its waits, limits and errors. A short cut inside the process would be
faster and a second way that behaves differently. Only the limits per address are not for it: an actor that is called often must not use up
what is meant for strangers (WIRE-269).
"""

from __future__ import annotations

import secrets

from client import Client
from client.limits import WITHOUT_PINGS
from client.retry import RetryPolicy

LOOPBACK_HEADER = b"x-rivet-loopback"


class LoopbackClients:
    """One shared client per namespace and pool, made when first asked for.

    Attributes:
        secret: What they show to be known by; new with every process, never given to an actor.
    """

    def __init__(self) -> None:
        self.secret = secrets.token_hex(16)
        self._clients: dict[tuple[str, str], Client] = {}

    def get(self, endpoint: str, namespace: str, pool: str) -> Client:
        """The client for actors of that namespace and pool."""
        found = self._clients.get((namespace, pool))
        if found is None:
            headers = {LOOPBACK_HEADER.decode(): self.secret}
            found = self._clients[namespace, pool] = Client(
                endpoint, namespace=namespace, pool=pool, headers=headers, limits=WITHOUT_PINGS, policy=RetryPolicy(jitter=0)
            )
        return found

    async def close(self) -> None:
        """Dispose every client."""
        for client in self._clients.values():
            await client.dispose()
