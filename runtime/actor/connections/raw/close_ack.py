"""The acknowledgement that a raw socket's close cycle has ended, and where the process keeps the latest of them.

Why it exists: close listeners and `on_disconnect` run after the client saw the close frame. Whoever checks what they wrote would race
them; an acknowledgement says that they are done. The ledger belongs to the host, because an actor's generations come and go.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

KEPT_PER_ACTOR = 1024
KEPT_TOTAL = 16_384
"""Of all actors: some 8 MB. The actors that published last keep theirs."""
KEPT_MS = 3600 * 1000
"""How long one is kept, in milliseconds. Whoever asks does so soon; what nobody asked for must not pile up for as long as a host lives."""


class CloseInitiator(StrEnum):
    """Who or what ended the socket."""

    CLIENT = "client"
    ACTOR = "actor"
    DISCONNECT = "disconnect"
    ERROR = "error"
    STOP = "stop"
    STALE = "stale"


class CloseOutcome(StrEnum):
    """How the cycle ended (RAWWS-061)."""

    SETTLED = "settled"
    FAILED = "failed"
    ABORTED = "aborted"
    UNDELIVERED = "undelivered"


@dataclass(frozen=True, slots=True)
class CloseAck:
    """One finished close cycle (RAWWS-060); times are milliseconds since the epoch.

    `code` and `reason` are what travelled on the wire, which differs from the close event after a failed handler.
    """

    actor_id: str
    generation: int
    conn_id: str
    initiator: CloseInitiator
    code: int
    reason: str
    was_clean: bool
    listeners: int
    failures: int
    outcome: CloseOutcome
    started_at: int
    ended_at: int


class CloseLedger:
    """The last 1 024 acknowledgements of an actor, 16 384 in all, for an hour; and who waits for the next. Implements RAWWS-062."""

    def __init__(self) -> None:
        self._acks: OrderedDict[str, OrderedDict[str, CloseAck]] = OrderedDict()
        self._total = 0
        self._waiters: dict[tuple[str, str], list[asyncio.Future[CloseAck]]] = {}
        self._listeners: list[Callable[[CloseAck], None]] = []

    def publish(self, ack: CloseAck) -> None:
        """Keep one acknowledgement and tell everybody who waits for it."""
        # Bounded per actor and in all: nobody is obliged to ask, and a host sees any number of actors and sockets.
        kept = self._acks.setdefault(ack.actor_id, OrderedDict())
        self._acks.move_to_end(ack.actor_id)
        self._total += ack.conn_id not in kept
        kept[ack.conn_id] = ack
        if len(kept) > KEPT_PER_ACTOR:
            self._forget_oldest(ack.actor_id)
        while self._total > KEPT_TOTAL:
            self._forget_oldest(next(iter(self._acks)))
        self._forget_before(ack.ended_at - KEPT_MS, kept)
        for future in self._waiters.pop((ack.actor_id, ack.conn_id), ()):
            if not future.done():
                future.set_result(ack)
        # A copy: a listener may end its own subscription.
        for listener in tuple(self._listeners):
            listener(ack)

    def _forget_before(self, moment: int, kept: OrderedDict[str, CloseAck]) -> None:
        """What ended before, of the actor that published now and of those that published nothing for the longest time."""
        # There is no timer for it: the next one is the occasion, and it is never old itself.
        while (first := next(iter(kept.values()))).ended_at < moment:
            self._forget_oldest(first.actor_id)
        while (first := next(iter(next(iter(self._acks.values())).values()))).ended_at < moment:
            self._forget_oldest(first.actor_id)

    def _forget_oldest(self, actor_id: str) -> None:
        kept = self._acks[actor_id]
        kept.popitem(last=False)
        self._total -= 1
        if not kept:
            del self._acks[actor_id]

    def get(self, actor_id: str, conn_id: str) -> CloseAck | None:
        """The acknowledgement of one connection, if published and still kept."""
        kept = self._acks.get(actor_id)
        return kept.get(conn_id) if kept is not None else None

    def all(self, actor_id: str) -> list[CloseAck]:
        """The kept acknowledgements of one actor, oldest first."""
        return list(self._acks.get(actor_id, {}).values())

    def subscribe(self, listener: Callable[[CloseAck], None]) -> Callable[[], None]:
        """Call `listener` with every further acknowledgement; returns the unsubscribe function."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    async def wait(self, actor_id: str, conn_id: str, timeout: float) -> CloseAck:
        """The acknowledgement of one connection, at once when it was published before.

        Raises:
            TimeoutError: None came within `timeout` seconds.
        """
        if (ack := self.get(actor_id, conn_id)) is not None:
            return ack
        future: asyncio.Future[CloseAck] = asyncio.get_running_loop().create_future()
        waiters = self._waiters.setdefault((actor_id, conn_id), [])
        waiters.append(future)
        try:
            async with asyncio.timeout(timeout):
                return await future
        # Whoever gives up takes only its own list away: `publish` may have served it, and a later waiter begun another.
        finally:
            if future in waiters:
                waiters.remove(future)
            if not waiters and self._waiters.get((actor_id, conn_id)) is waiters:
                del self._waiters[actor_id, conn_id]
