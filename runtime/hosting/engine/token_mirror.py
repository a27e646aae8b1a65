"""The engine's copy of an actor's inspector token: what its REST interface shows under the key `03` (WIRE-112).

The token is a row of the actor, and rows are pages of a database that the engine does not read. So it is written once more, into the
engine's key-value store, which holds nothing else of ours: it takes writes of generations that are over (ENGINE-167), and all of them write
the same here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from runtime import clock
from runtime.gateway.generations import Generations as TwoPeriods
from runtime.inspector.token import TokenSettings, stored_token

if TYPE_CHECKING:
    from runtime.actor.lifecycle.task import ActorTask

ENGINE_KEY = b"\x03"
AGAIN = 3600.0
"""Seconds at least until a token is written once more."""


class KeyValueStore(Protocol):
    """The engine's, as far as it is used."""

    async def put(self, actor_id: str, key: bytes, value: bytes) -> None:
        """Write a row."""


class TokenMirror:
    """Writes the tokens of the actors that start here.

    Not only at the first start of each: that one may fail behind the write of its rows, or the process end behind it. To write what the
    engine has costs a request, so the process remembers for a while what it wrote.
    """

    def __init__(self, store: KeyValueStore, settings: TokenSettings) -> None:
        self._store = store
        self._settings = settings
        self._told = TwoPeriods[None](AGAIN)

    async def mirror(self, task: ActorTask) -> None:
        """Write the token of a running actor, unless the engine has it from here. One token for all is nobody's to see.

        Raises:
            LinkLostError: The engine did not answer in time.
            RefusedError: It did not take it.
        """
        actor_id, told = task.identity.actor_id, self._told
        told.turn(clock.monotonic())
        if self._settings.fixed_inspector_token is not None or actor_id in told.current or actor_id in told.before:
            return
        token = await stored_token(task.storage)
        if token is not None:
            await self._store.put(actor_id, ENGINE_KEY, token.encode())
            told.current[actor_id] = None
