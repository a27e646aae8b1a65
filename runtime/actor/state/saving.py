"""When and what to save: throttled, immediate, or within a maximum wait (RUN-140..149, DB-030..039).

Why one saver for all sources and no timer per source: state, connections and a workflow's entries that changed together become durable
together (DB-023), and one throttle bounds the commits of an actor whatever it has to save.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from runtime import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.actor.joining import Join
    from runtime.declaration.options import Options
    from runtime.storage.base import Op

    _Waiting = tuple[asyncio.Future[None], Callable[[], Sequence[Op]]]  # a caller, and what it brings along


class SaveSource(Protocol):
    """Something with rows to save."""

    @property
    def unsaved(self) -> bool:
        """Whether there may be some."""
        ...

    def collect(self) -> list[Op]:
        """The rows that changed, serialized now; they count as saved until `settled(False)`."""
        ...

    def settled(self, ok: bool) -> None:
        """The batch with the last collected rows was committed, or failed and must be collected again."""
        ...


class SavingOwner(Protocol):
    """What saving asks of its actor."""

    @property
    def options(self) -> Options:
        """The save interval."""
        ...

    @property
    def log(self) -> Any:
        """Where failed saves are noted."""
        ...

    async def commit(self, ops: Sequence[Op]) -> None:
        """Write one durable batch."""

    async def commit_collected(self, collect: Callable[[], Sequence[Op]]) -> None:
        """Write the batch that `collect` gives when nothing is in its way any more."""


@dataclass(slots=True, eq=False)
class _Batch:
    """What one save has collected; nothing before its turn has come."""

    waiting: list[_Waiting]
    collected: list[tuple[SaveSource, list[Op]]] = field(default_factory=list)
    broken: list[tuple[SaveSource, Exception]] = field(default_factory=list)
    size: int = 0


class JoinedSave:
    """A save in the commit of a transaction that it was asked for in (DB-029): of everything that is unsaved then."""

    def __init__(self, saver: StateSaver, over: Callable[[], None]) -> None:
        self._saver = saver
        self._over = over

    def rows(self) -> list[Op]:
        """Everything that is to be saved; raises when something of it has no stored form."""
        return self._saver.collect()

    def committed(self) -> None:
        """It is saved."""
        self._saver.settle(ok=True)
        self._over()

    def rolled_back(self) -> None:
        """It is unsaved, and saved later."""
        self._saver.settle(ok=False)
        self._saver.request()
        self._over()


class StateSaver:
    """Collects from its sources and commits everything in one batch (DB-023). One save runs at a time; none overtakes another (RUN-148)."""

    def __init__(self, owner: SavingOwner) -> None:
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._sources: list[SaveSource] = []
        self._interval = owner.options.state_save_interval
        self._last_save = self._loop.time()  # so that the first save of a generation is throttled like any other
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: list[_Waiting] = []
        self._running: asyncio.Task[None] | None = None
        # Held by each save, and by a transaction that saves by itself.
        self._turn = asyncio.Lock()
        self._collected: list[SaveSource] = []
        # Of the save whose rows are collected and not durable yet.
        self._settling: asyncio.Future[None] | None = None
        self._joined: JoinedSave | None = None
        self._closed = False
        self._failures = 0

    def add_source(self, source: SaveSource) -> None:
        """Ask this source too from now on."""
        self._sources.append(source)

    def request(self, max_wait: float | None = None) -> None:
        """Save no later than the throttle says, or within `max_wait` seconds if that is earlier (RUN-140, RUN-142)."""
        if self._closed:
            return
        now = self._loop.time()
        due = max(now, self._last_save + self._interval)
        if max_wait is not None:
            due = min(due, now + max(0.0, max_wait))
        # A later request never puts an earlier one off: somebody was promised that time.
        if self._due is not None and self._due <= due:
            return
        self._due = due
        if self._timer is not None:
            self._timer.cancel()
        self._timer = clock.call_later(due - now, self._tick)

    async def save_now(self, extra: Callable[[], Sequence[Op]] = tuple) -> None:
        """Save what is unsaved, with `extra()` in the same batch; returns when durable (RUN-141, RUN-144).

        Asked for at the moment that everything else is collected: rows of an earlier moment, beside the state of this one, would be
        halves of two things. A cancelled caller does not take the save back.

        Raises:
            Exception: The storage refused, and everything stays unsaved (RUN-149); or what `extra` raised.
        """
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append((waiter, extra))
        self._start()
        await asyncio.shield(waiter)

    async def save_with(self, join: Join) -> None:
        """Save what is unsaved in the commit of a transaction; returns before that (DB-029).

        Raises:
            Exception: The transaction has ended.
        """
        # A save that is past the gate of transactions is before this one, and its sources can follow one batch at a time.
        while self._settling is not None:
            await asyncio.wait({self._settling})
        if self._joined is None:
            joined = JoinedSave(self, self._leave)
            join(joined)
            self._joined = joined

    def _leave(self) -> None:
        self._joined = None

    async def idle(self) -> None:
        """Wait until no save is running (STOP-016)."""
        while self._running is not None:
            await asyncio.wait({self._running})

    def stop_timer(self) -> None:
        """No throttled save from here on; the stop path saves by itself (DB-035)."""
        # `save_now` still works: the final saves come after this.
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._due = None

    # For a transaction that saves in its own commit (DB-180).

    async def pause(self) -> None:
        """Wait until no save runs, and begin none before `resume` (DB-187)."""
        await self._turn.acquire()

    def resume(self) -> None:
        """The inverse of `pause`."""
        self._turn.release()

    def collect(self) -> list[Op]:
        """The rows of all sources, which then wait for `settle`; only while paused.

        Raises:
            Exception: A source has a row that cannot be made.
        """
        ops: list[Op] = []
        for source in self._sources:
            ops += source.collect()
            self._collected.append(source)
        return ops

    def settle(self, *, ok: bool) -> None:
        """The rows of the last `collect` are durable, or count as unsaved again."""
        collected, self._collected = self._collected, []
        for source in collected:
            source.settled(ok)
        if collected and ok:
            self._last_save = self._loop.time()
        elif collected:
            self.request()

    def _tick(self) -> None:
        self._timer = None
        self._start()

    def _start(self) -> None:
        if self._running is None:
            # Owned here: `idle` awaits it on the stop path.
            self._running = self._loop.create_task(self._run())

    async def _run(self) -> None:
        try:
            async with self._turn:
                await self._save()
            # Who came during a save may have changed something after it was collected, so that save is not theirs.
            while self._waiting:
                async with self._turn:
                    await self._save()
        finally:
            self._running = None

    async def _save(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._due = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch = _Batch(waiting)
        failure: Exception | None = None
        refused: list[SaveSource] = []
        try:
            # Behind a transaction the rows are collected late: those that it saves itself must not be overwritten with older ones.
            if any(source.unsaved for source in self._sources) or any(extra is not tuple for _, extra in waiting):
                await self._owner.commit_collected(partial(self._rows, batch))
            failure = batch.broken[0][1] if batch.broken else None
        except Exception as error:
            failure = error
            refused = await self._one_by_one(batch.collected, batch.size)
        for source, _ in batch.collected:
            source.settled(source not in refused)
        for source, _ in batch.broken:
            source.settled(False)
        self._settled()
        if failure is not None:
            self._failed(failure, batch.waiting)
            return
        self._last_save = self._loop.time()
        self._failures = 0
        for waiter, _ in batch.waiting:
            if not waiter.done():
                waiter.set_result(None)

    def _rows(self, batch: _Batch) -> list[Op]:
        """Everything that is to be saved now."""
        # One source that can't be serialized keeps no other from being written; the rows that callers brought along belong to a whole save.
        batch.collected, batch.broken = self._collect()
        ops = [op for _, rows in batch.collected for op in rows]
        if not batch.broken:
            batch.waiting = [(waiter, extra) for waiter, extra in batch.waiting if self._bring(ops, waiter, extra)]
        batch.size = len(ops)
        self._settling = self._loop.create_future()
        return ops

    def _settled(self) -> None:
        settling, self._settling = self._settling, None
        if settling is not None:
            settling.set_result(None)

    def _collect(self) -> tuple[list[tuple[SaveSource, list[Op]]], list[tuple[SaveSource, Exception]]]:
        """The rows of the sources that have some, and what the others raised."""
        collected: list[tuple[SaveSource, list[Op]]] = []
        broken: list[tuple[SaveSource, Exception]] = []
        for source in self._sources:
            try:
                collected.append((source, source.collect()))
            except Exception as error:
                broken.append((source, error))
        return collected, broken

    async def _one_by_one(self, collected: list[tuple[SaveSource, list[Op]]], size: int) -> list[SaveSource]:
        """Write the rows of each source alone, after all together were refused; those that still are."""
        refused: list[SaveSource] = []
        for source, rows in collected:
            # The only rows that there were would be refused again. What callers brought along is not written without the rest.
            if not rows or len(rows) == size:
                refused.append(source)
                continue
            try:
                await self._owner.commit(rows)
            except Exception:
                refused.append(source)
        return refused

    def _bring(self, ops: list[Op], waiter: asyncio.Future[None], extra: Callable[[], Sequence[Op]]) -> bool:
        """Add what one caller brings along; what cannot be is that caller's alone."""
        try:
            ops += extra()
        except Exception as error:
            if not waiter.done():
                waiter.set_exception(error)
                waiter.exception()
            return False
        return True

    def _failed(self, error: Exception, waiting: list[_Waiting]) -> None:
        self._owner.log.error("actor state save failed", error=repr(error))
        for waiter, _ in waiting:
            if not waiter.done():
                waiter.set_exception(error)
                # The caller may be gone; it was logged above.
                waiter.exception()
        self._failures += 1
        self._last_save = self._loop.time()
        # At once, but a storage that keeps failing is not asked all the time (RUN-145).
        self.request(0 if self._failures == 1 else None)
