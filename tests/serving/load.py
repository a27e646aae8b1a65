"""Random load on ledger actors, and what must be true afterwards. The same seed makes the same load."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from client import ActorError, HttpFailureError

if TYPE_CHECKING:
    from client import Client

OPERATIONS = ("write", "write", "send", "send", "consume", "plan", "note", "note", "sleep", "wait")
LOST = (httpx.HTTPError, ActorError, HttpFailureError)


@dataclass
class Book:
    """What the driver knows of one actor: acknowledged numbers, and those whose outcome it never learned."""

    key: str
    actor: str = "ledger"
    written: set[int] = field(default_factory=set)
    planned: set[int] = field(default_factory=set)
    put: set[int] = field(default_factory=set)
    inserted: set[int] = field(default_factory=set)
    sent: set[int] = field(default_factory=set)
    completed: set[int] = field(default_factory=set)
    doubtful: set[int] = field(default_factory=set)
    doubtful_consumes: int = 0


class Load:
    """Drives actors by seeded random operations."""

    def __init__(self, seed: int, actors: int, *, fire_after: tuple[float, float]) -> None:
        self.random = random.Random(seed)
        self.books = [Book(f"ledger-{index}", ("ledger", "storedLedger")[index % 2]) for index in range(actors)]
        self.latest_due = 0.0
        self._number = 0
        self._fire_after = fire_after

    def next_number(self) -> int:
        """A number nobody used."""
        self._number += 1
        return self._number

    async def step(self, client: Client, book: Book) -> None:
        """One random operation; raises what the call raised after noting the doubt."""
        operation = self.random.choice(OPERATIONS)
        handle = client.get_or_create(book.actor, [book.key])
        number = self.next_number()
        if operation == "wait":
            await asyncio.sleep(self.random.random() * 0.5)
        elif operation == "sleep":
            await handle.action("goToSleep")
        elif operation == "consume":
            await self._consume(handle, book)
        else:
            book.doubtful.add(number)
            if operation == "write":
                await handle.action("write", number)
                book.written.add(number)
            elif operation == "send":
                await handle.send("work", number)
                book.sent.add(number)
            elif operation == "note":
                # Every other ledger has a database; in it, and among its entries, a number is there twice or not at all.
                inserted = book.actor == "storedLedger" and self.random.random() < 0.5
                await handle.action("insert" if inserted else "put", number)
                (book.inserted if inserted else book.put).add(number)
            else:
                delay = self.random.uniform(*self._fire_after)
                self.latest_due = max(self.latest_due, asyncio.get_running_loop().time() + delay)
                await handle.action("plan", delay * 1000, number)
                book.planned.add(number)
            book.doubtful.discard(number)

    async def _consume(self, handle: Any, book: Book) -> bool:
        book.doubtful_consumes += 1
        number = await handle.action("consume")
        book.doubtful_consumes -= 1
        if number is None:
            return False
        assert number not in book.completed, f"message {number} of {book.key} was completed twice"
        book.completed.add(number)
        return True

    async def settle(self, client: Client, book: Book) -> None:
        """Drain the queue and check everything against what was acknowledged."""
        handle = client.get_or_create(book.actor, [book.key])
        while await self._consume(handle, book):
            continue
        report = await handle.action("report")
        for name in ("put", "insert"):
            assert sorted(report[f"{name}s"]) == sorted(report[f"{name} halves"]), f"{name}s of {book.key} are half there"
        noted = (("writes", book.written), ("fires", book.planned), ("puts", book.put), ("inserts", book.inserted))
        for name, acknowledged in noted:
            found = report[name]
            assert len(found) == len(set(found)), f"{name} of {book.key} repeat: {sorted(found)}"
            missing = acknowledged - set(found)
            assert not missing, f"{name} of {book.key} lost {sorted(missing)}"
            invented = set(found) - acknowledged - book.doubtful
            assert not invented, f"{name} of {book.key} invented {sorted(invented)}"
        lost = book.sent - book.completed
        assert len(lost) <= book.doubtful_consumes, f"messages of {book.key} lost: {sorted(lost)}"
        invented = book.completed - book.sent - book.doubtful
        assert not invented, f"messages of {book.key} invented: {sorted(invented)}"
