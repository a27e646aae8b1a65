"""An asyncio event loop whose clock jumps.

Real sockets, real servers, no waiting: as soon as nothing is runnable, no byte is under way between two sockets of this process, no
connection is being made and no executor job runs, the clock jumps to the next timer. uvicorn, httpx and websockets run on it unchanged.

How: the selector is wrapped. When asyncio asks to wait, the wrapper polls with time-out 0 a few times (`epoll` rounds every positive
time-out up to a whole millisecond), waits in real time while something is under way, and otherwise moves the clock instead of waiting.

The clock also crawls by `CRAWL` per turn of the loop, so that two things done one after the other have different times and a loop that
waits for a deadline ends. Machine load changes nothing: real time is never read except to notice that nothing can ever happen.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import selectors
import time
from typing import TYPE_CHECKING, Any

from harness.session.loopback import CountedSocket, Loopback

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

CRAWL = 10e-6
"""Virtual seconds per turn of the loop."""
POLLS = 3
"""Empty polls in a row before the loop counts as idle."""
SETTLE = 0.25
"""Real seconds to wait for a receiver on loopback before it is taken to be not reading."""
STALL = 20.0
"""Real seconds in which nothing can happen before the loop reports a deadlock."""


class VirtualDeadlock(RuntimeError):
    """Nothing is runnable, no timer is armed, nothing is under way: the awaited thing can never happen."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """A selector event loop on virtual time.

    Attributes:
        on_stall: called once with a description when nothing can ever happen; without it `VirtualDeadlock` is raised out of the loop.
        jumps: how often the clock jumped, for tests and curiosity.
    """

    def __init__(self, *, wall_start: float | None = None, stall: float = STALL) -> None:
        """Start at `wall_start` seconds since the epoch (default: now); `stall` real seconds of nothing are a deadlock."""
        # Not zero, where a timestamp that was never set and one from the start look alike.
        self._now = 1000.0
        self._wall_offset = (time.time() if wall_start is None else wall_start) - self._now
        self.loopback = Loopback()
        self.jobs = 0
        self.jumps = 0
        self.stall = stall
        self.on_stall: Callable[[str], None] | None = None
        super().__init__(_VirtualSelector(self))

    def time(self) -> float:
        """The virtual clock, in seconds."""
        return self._now

    def wall_time(self) -> float:
        """Virtual seconds since the Unix epoch."""
        return self._now + self._wall_offset

    def advance(self, seconds: float) -> None:
        """Move the clock; timers that became due run in the next turn."""
        self._now += max(0.0, seconds)

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """As in asyncio; the clock stands still until the job is done, even when its future is cancelled before."""
        self._check_closed()  # type: ignore[attr-defined]
        # Not asyncio's own way: its future may be cancelled while the job goes on in its thread, and the clock must wait for the job.
        pool = executor or self._pool()
        self.jobs += 1
        try:
            job: concurrent.futures.Future[Any] = pool.submit(func, *args)
        except BaseException:
            self.jobs -= 1
            raise
        future: asyncio.Future[Any] = self.create_future()
        future.add_done_callback(lambda ended: job.cancel() if ended.cancelled() else None)

        def done() -> None:
            self.jobs -= 1
            _copy(job, future)

        def tell(_: object) -> None:
            # The loop may be closed already: then nobody asks for the result any more.
            with contextlib.suppress(RuntimeError):
                self.call_soon_threadsafe(done)

        # One message for the result and for the clock, as each wakes the loop through a socket.
        job.add_done_callback(tell)
        return future

    def _pool(self) -> concurrent.futures.Executor:
        pool: concurrent.futures.ThreadPoolExecutor | None = self._default_executor  # type: ignore[has-type]
        if pool is None:
            pool = concurrent.futures.ThreadPoolExecutor(thread_name_prefix="virtual")
            self._default_executor = pool
        return pool

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """As in asyncio; the clock stands still while the connection is being made."""
        # A handshake sends no bytes that anybody counts, so it is counted itself.
        self.loopback.connecting += 1
        try:
            await super().sock_connect(sock, address)
        finally:
            self.loopback.connecting -= 1

    def _make_socket_transport(self, sock: socket.socket, *args: Any, **kwargs: Any) -> Any:
        counted = CountedSocket.adopt(sock, self.loopback)
        return super()._make_socket_transport(counted, *args, **kwargs)  # type: ignore[misc]

    def _start_serving(self, protocol_factory: Any, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        self.loopback.listen(sock)
        super()._start_serving(protocol_factory, sock, *args, **kwargs)  # type: ignore[misc]


def _copy(job: concurrent.futures.Future[Any], future: asyncio.Future[Any]) -> None:
    if future.done():
        return
    if job.cancelled():
        future.cancel()
    elif (error := job.exception()) is not None:
        future.set_exception(error)
    else:
        future.set_result(job.result())


class _VirtualSelector(selectors.DefaultSelector):
    """Waits by moving the clock of its loop."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        loop = self._loop
        events = super().select(0)
        # Something is runnable, so no time passes but the crawl.
        if events or timeout == 0:
            loop.advance(CRAWL)
            return events
        # A single empty poll proves little: the kernel may hand over a segment a moment after the `send` that made it.
        for _ in range(POLLS - 1):
            if events := super().select(0):
                loop.advance(CRAWL)
                return events
        # Only now real time may pass, and only while something is under way; a machine under load makes this slower, never different.
        events = self._settle(blocked=timeout is None)
        # Asked again: while settling, a job may have ended and queued a callback that has to run before any timer.
        if not events and timeout is not None and not (loop.loopback.busy or loop.jobs):
            loop.jumps += 1
            loop.advance(timeout)
        return events

    def _settle(self, *, blocked: bool) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait in real time while something is under way (or, when `blocked`, for anything at all)."""
        loop = self._loop
        began = time.monotonic()
        while blocked or loop.jobs or loop.loopback.busy:
            waited = time.monotonic() - began
            # A receiver that does not read (flow control) would otherwise stop the clock until its own time-out, which needs the clock.
            if not loop.jobs and loop.loopback.busy and waited > SETTLE and not loop.loopback.connecting:
                loop.loopback.forgive()
                continue
            if waited > loop.stall:
                self._stalled()
                return []
            # Busy-polling is for bytes only: they arrive within microseconds; jobs and foreign events wake the poll themselves.
            quick = loop.loopback.busy and waited < 0.002
            if events := super().select(0 if quick else 0.001 if loop.loopback.busy else 0.2):
                return events
        return []

    def _stalled(self) -> None:
        loop = self._loop
        what = f"{loop.jobs} executor job(s) still run" if loop.jobs else "no timer is armed and nothing is under way"
        message = f"virtual time is stuck: {what} after {loop.stall:g} s of real time"
        if loop.on_stall is None:
            raise VirtualDeadlock(message)
        loop.on_stall(message)


def new_virtual_loop() -> VirtualLoop:
    """The loop factory of the plug-in and of `asyncio.Runner(loop_factory=...)`."""
    return VirtualLoop()
