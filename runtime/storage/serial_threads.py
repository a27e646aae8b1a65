"""A few threads that serve many queues; of one queue at most one job runs, in the order of submission.

Why not a thread each: ten thousand open databases would be ten thousand threads, nearly all of which wait. Why not one queue of jobs for
all threads: jobs of one database must not overlap, and one that is asked much must not keep the others waiting. So threads take queues by
turns, and one job a turn.

A thread that becomes free is handed the next queue by whoever made it ready, last to rest first: a few threads stay warm, the others end.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from concurrent.futures import Executor, Future
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger(__name__)

REST = 10.0
"""Seconds without work after which a thread ends."""
END = 1.0
"""Seconds that `SerialThreads.close` waits for jobs that still run."""
PATIENCE = 0.02
"""Seconds after which queues whose next job has no room are asked again, if no job of another ended before."""
_SWEEP = 64
"""Jobs in a queue from which on those that were taken back are looked for."""


class _State(StrEnum):
    IDLE = "idle"
    READY = "ready"
    BUSY = "busy"
    PARKED = "parked"


class _Job:
    __slots__ = ("args", "fn", "future", "kwargs")

    def __init__(self, future: Future[Any], fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.future = future
        self.fn = fn
        self.args = args
        self.kwargs = kwargs


class SerialQueue(Executor):
    """Jobs that never overlap. An executor, so that event loops know it: `loop.run_in_executor(queue, function)`.

    Made by `SerialThreads.queue`; its attributes belong to the threads and change under their lock.

    Attributes:
        room: Asked on the thread before each job; as long as it says False the queue waits, with no thread, and its jobs can still be taken
            back. What it raises is the error of the job.
    """

    def __init__(self, threads: SerialThreads) -> None:
        self._threads = threads
        self.room: Callable[[], bool] | None = None
        self.state = _State.IDLE
        self.ending = False
        self.jobs: deque[_Job] = deque()
        self.sweep_at = _SWEEP

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue a job; one whose future is cancelled before it starts does not run.

        Raises:
            RuntimeError: After `shutdown`.
        """
        future: Future[T] = Future()
        self._threads.put(self, _Job(future, fn, args, kwargs))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more jobs. What is queued is done, on a thread kept for this when all others are taken."""
        self._threads.end(self)

    @property
    def running(self) -> bool:
        """Whether a thread is at one of its jobs now."""
        return self.state is _State.BUSY

    @property
    def completed(self) -> int:
        """Jobs of all queues that were done so far: while it grows, a turn will come."""
        return self._threads.completed

    def occupy(self, *, waiting: bool = False) -> bool:
        """Keep the threads away until `release`; False when one of its jobs runs, or waits and `waiting` is false."""
        return self._threads.occupy(self, waiting)

    def release(self) -> None:
        """Let threads do what was submitted meanwhile."""
        self._threads.release(self)


class _Thread(threading.Thread):
    """Does one job, gets the next or rests, ends when it rested long."""

    def __init__(self, owner: SerialThreads, number: int) -> None:
        # A statement that nothing stops must not keep the process from ending.
        super().__init__(name=f"actor-sql-{number}", daemon=True)
        self._owner = owner
        self.queue: SerialQueue | None = None
        self.job: _Job | None = None
        # Held while there is nothing to do: whoever brings work, or the end, lets it go.
        self.rest = threading.Lock()
        self.rest.acquire()

    def run(self) -> None:
        while (busy := self._owner.next(self)) is not None:
            # Asked of what `next` said and not of the job: one may come right after it, and with it the lock that is to be taken.
            if not busy and not self.rest.acquire(timeout=self._owner.patience):
                if self._owner.retire(self):
                    return
                # Chosen in the last moment: the work is on its way.
                self.rest.acquire()
            if self.job is not None:
                _do(self)


class SerialThreads:
    """The threads of a host and its queues.

    Threads start when there is work for them and end when they had none for `rest` seconds. When all are taken, jobs wait for one, except
    those of queues that end: for them there is one thread more, so that nobody else's work keeps a queue from coming to its end.

    Args:
        most: Threads at a time, at least one.
        rest: Seconds.

    Attributes:
        completed: Jobs that were done, or taken back.
    """

    def __init__(self, most: int, rest: float = REST) -> None:
        if most < 1:
            raise ValueError(f"there must be one thread at least, not {most}")
        self.most = most
        self.rest = rest
        self.completed = 0
        self._lock = threading.Lock()
        self._threads: set[_Thread] = set()
        self._resting: list[_Thread] = []
        self._spare: _Thread | None = None
        self._started = 0
        self._closing = False
        # Queues in the order in which they became ready. Those that end are in both, and whoever comes second finds them taken.
        self._ready: deque[SerialQueue] = deque()
        self._ending: deque[SerialQueue] = deque()
        self._parked: deque[SerialQueue] = deque()

    @property
    def threads(self) -> int:
        """How many there are now."""
        return len(self._threads)

    @property
    def patience(self) -> float:
        """Seconds that a thread rests before it looks around."""
        return PATIENCE if self._parked else self.rest

    def queue(self) -> SerialQueue:
        """A new queue; it costs nothing while it has no job."""
        return SerialQueue(self)

    async def close(self) -> None:
        """End the threads. One whose job does not end within a second is left to it and named in the log. They come again with work."""
        with self._lock:
            self._closing = True
            threads = list(self._threads)
            for thread in self._resting:
                thread.rest.release()
            self._resting.clear()
        try:
            if threads:
                await asyncio.to_thread(_join, threads)
        finally:
            self._closing = False
        if stuck := [thread.name for thread in threads if thread.is_alive()]:
            log.warning("threads of databases still run", threads=stuck)

    # For queues, on any thread.

    def put(self, queue: SerialQueue, job: _Job) -> None:
        """Append a job and see that somebody comes for it."""
        with self._lock:
            if queue.ending:
                raise RuntimeError("cannot schedule new futures after shutdown")
            queue.jobs.append(job)
            if len(queue.jobs) >= queue.sweep_at:
                _sweep(queue)
            if queue.state is _State.IDLE:
                try:
                    self._make_ready(queue)
                except RuntimeError:
                    # There is no thread at all: whoever is told so must not find it done later.
                    queue.jobs.pop()
                    queue.state = _State.IDLE
                    raise

    def end(self, queue: SerialQueue) -> None:
        """See `SerialQueue.shutdown`."""
        with self._lock:
            if not queue.ending:
                queue.ending = True
                if queue.state is _State.PARKED:
                    self._parked.remove(queue)
                    self._make_ready(queue)
                elif queue.state is _State.READY:
                    self._hurry(queue)

    def occupy(self, queue: SerialQueue, waiting: bool) -> bool:
        """See `SerialQueue.occupy`."""
        with self._lock:
            if queue.state is not _State.IDLE and not (waiting and queue.state is _State.READY):
                return False
            queue.state = _State.BUSY
            return True

    def release(self, queue: SerialQueue) -> None:
        """See `SerialQueue.release`."""
        with self._lock:
            queue.state = _State.IDLE
            if queue.jobs:
                self._make_ready(queue)

    # For threads.

    def next(self, thread: _Thread) -> bool | None:
        """Take the queue back after its job; True: the thread has got the one whose turn it is, False: it rests, None: it is to end."""
        with self._lock:
            if thread.queue is not None:
                self._take_back(thread, thread.queue)
            if self._give(thread, self._ending if thread is self._spare else self._ready):
                return True
            if self._closing or thread is self._spare:
                self._forget(thread)
                return None
            self._resting.append(thread)
            return False

    def retire(self, thread: _Thread) -> bool:
        """Whether a thread that rested long may end; False when somebody has just called it."""
        with self._lock:
            if thread not in self._resting:
                return False
            self._resting.remove(thread)
            if self._parked:
                # Room may have come without a job of ours. One asks for all, and rests again if there is none.
                self._ask_parked(len(self._parked))
                self._give(thread, self._ready)
                thread.rest.release()
                return False
            self._forget(thread)
            return True

    # Under the lock.

    def _take_back(self, thread: _Thread, queue: SerialQueue) -> None:
        thread.queue = None
        if thread.job is not None:
            # It was not begun.
            queue.jobs.appendleft(thread.job)
            thread.job = None
            if not queue.ending:
                queue.state = _State.PARKED
                self._parked.append(queue)
                return
        else:
            self.completed += 1
            self._ask_parked(1)
        if queue.jobs:
            # Behind the others: one job a turn.
            queue.state = _State.READY
            self._ready.append(queue)
            if queue.ending:
                self._hurry(queue)
        else:
            queue.state = _State.IDLE

    def _give(self, thread: _Thread, waiting: deque[SerialQueue]) -> bool:
        while waiting:
            # Some are in twice, or were taken otherwise.
            if (ready := waiting.popleft()).state is _State.READY:
                _assign(thread, ready)
                return True
        return False

    def _ask_parked(self, most: int) -> None:
        for _ in range(min(most, len(self._parked))):
            queue = self._parked.popleft()
            queue.state = _State.READY
            self._ready.append(queue)

    def _make_ready(self, queue: SerialQueue) -> None:
        queue.state = _State.READY
        if self._resting:
            # The last that rested: the others have a chance to end.
            thread = self._resting.pop()
            _assign(thread, queue)
            thread.rest.release()
            return
        self._ready.append(queue)
        if len(self._threads) - (self._spare is not None) < self.most:
            self._start()
        elif queue.ending:
            self._hurry(queue)

    def _hurry(self, queue: SerialQueue) -> None:
        self._ending.append(queue)
        if self._spare is None:
            self._spare = self._start()

    def _start(self) -> _Thread | None:
        self._started += 1
        thread = _Thread(self, self._started)
        self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError:
            # The system has no thread left for us. Those that there are do it all the same, if later.
            self._threads.discard(thread)
            if not self._threads:
                raise
            return None
        return thread

    def _forget(self, thread: _Thread) -> None:
        self._threads.discard(thread)
        if thread is self._spare:
            self._spare = None


def _assign(thread: _Thread, queue: SerialQueue) -> None:
    queue.state = _State.BUSY
    thread.queue = queue
    thread.job = queue.jobs.popleft()


def _sweep(queue: SerialQueue) -> None:
    """Drop what was taken back: behind a long job it would otherwise pile up."""
    queue.jobs = deque(job for job in queue.jobs if not job.future.cancelled())
    queue.sweep_at = max(_SWEEP, 2 * len(queue.jobs))


def _do(thread: _Thread) -> None:
    # A function of its own, and the job taken from the thread: one that rests must hold nothing of what it did last.
    job, thread.job = thread.job, None
    assert job is not None
    assert thread.queue is not None
    future, room = job.future, thread.queue.room
    try:
        if not future.cancelled() and room is not None and not room():
            thread.job = job
            return
    except BaseException as error:
        if future.set_running_or_notify_cancel():
            future.set_exception(error)
        del future, job, room
        return
    if not future.set_running_or_notify_cancel():
        return
    try:
        value = job.fn(*job.args, **job.kwargs)
    except BaseException as error:
        future.set_exception(error)
        # The traceback holds this frame, and so it must not hold the error.
        del future, job, room
    else:
        future.set_result(value)


def _join(threads: list[_Thread]) -> None:
    # The machine's time and not the loop's: threads do not live in virtual time.
    last = time.monotonic() + END
    for thread in threads:
        thread.join(max(0.0, last - time.monotonic()))
