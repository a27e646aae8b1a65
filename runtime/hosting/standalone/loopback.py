"""Clients of this host to its own gateway, for calls from actor to actor.

Such a call takes the way of every other: through the gateway, with its waits, limits and errors. A short cut inside the process would be
faster and a second way that behaves differently.
"""

from __future__ import annotations

from client import Client
from client.limits import WITHOUT_PINGS
from client.retry import RetryPolicy


class LoopbackClients:
    """One shared client per namespace and pool, made when first asked for."""

    def __init__(self) -> None:
        self._clients: dict[tuple[str, str], Client] = {}

    def get(self, endpoint: str, namespace: str, pool: str) -> Client:
        """The client for actors of that namespace and pool."""
        found = self._clients.get((namespace, pool))
        if found is None:
            found = self._clients[namespace, pool] = Client(
                endpoint, namespace=namespace, pool=pool, limits=WITHOUT_PINGS, policy=RetryPolicy(jitter=0)
            )
        return found

    async def close(self) -> None:
        """Dispose every client."""
        for client in self._clients.values():
            await client.dispose()
