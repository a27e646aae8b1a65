"""Queues that share a few threads."""

import asyncio
import threading
import time
from concurrent.futures import CancelledError, wait

import pytest

from runtime.storage import serial_threads
from runtime.storage.serial_threads import SerialThreads

WAIT = 5


class Held:
    """A job that runs until it is let go."""

    def __init__(self):
        self.began, self.go = threading.Event(), threading.Event()

    def __call__(self):
        self.began.set()
        return self.go.wait(WAIT)


def until(condition):
    last = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < last
        time.sleep(0.0005)


def hold(threads, count):
    held = [Held() for _ in range(count)]
    for one in held:
        threads.queue().submit(one)
        assert one.began.wait(WAIT)
    return held


def test_jobs_of_a_queue_keep_their_order_and_never_overlap():
    threads, running, most, order = SerialThreads(3, rest=0.01), [0] * 4, [0] * 4, [[] for _ in range(4)]

    def job(queue, number):
        running[queue] += 1
        most[queue] = max(most[queue], running[queue])
        time.sleep(0)
        order[queue].append(number)
        running[queue] -= 1

    queues = [threads.queue() for _ in range(4)]
    wait([queues[queue].submit(job, queue, number) for number in range(100) for queue in range(4)], WAIT)
    assert most == [1, 1, 1, 1]
    assert order == [list(range(100))] * 4
    assert threads.threads <= 3
    until(lambda: threads.threads == 0)


def test_work_that_comes_as_a_thread_goes_to_rest_is_done_once(monkeypatch):
    threads, queues, done = SerialThreads(1), [], []
    queues.extend(threads.queue() for _ in range(2))
    rest = threads.next

    def late(thread):
        busy = rest(thread)
        # Between the decision to rest and the rest.
        if busy is False and len(done) < 3:
            queues[len(done) % 2].submit(done.append, len(done))
        return busy

    monkeypatch.setattr(threads, "next", late)
    queues[0].submit(int).result(WAIT)
    until(lambda: len(done) == 3)
    monkeypatch.undo()
    for queue in queues:
        assert queue.submit(int).result(WAIT) == 0


def test_a_long_queue_lets_the_others_have_their_turn():
    threads, order = SerialThreads(1), []
    (held,) = hold(threads, 1)
    long, short = threads.queue(), threads.queue()
    jobs = [long.submit(order.append, "long") for _ in range(5)] + [short.submit(order.append, "short")]
    held.go.set()
    wait(jobs, WAIT)
    assert order.index("short") == 1


def test_threads_are_few_and_start_with_work_only():
    threads = SerialThreads(2, rest=0.01)
    queues = [threads.queue() for _ in range(1000)]
    assert threads.threads == 0
    held = hold(threads, 2)
    jobs = [queue.submit(int) for queue in queues]
    assert threads.threads == 2
    assert not any(job.done() for job in jobs)
    held[0].go.set()
    wait(jobs, WAIT)
    held[1].go.set()
    until(lambda: threads.threads == 0)


def test_a_job_that_was_taken_back_does_not_run_and_leaves_no_trace():
    threads = SerialThreads(1)
    queue, held, ran = threads.queue(), Held(), []
    queue.submit(held)
    assert held.began.wait(WAIT)
    for number in range(1000):
        assert queue.submit(ran.append, number).cancel()
    assert len(queue.jobs) < 100
    last = queue.submit(ran.append, "last")
    held.go.set()
    last.result(WAIT)
    assert ran == ["last"]
    with pytest.raises(CancelledError):
        held = Held()
        queue.submit(held)
        taken = queue.submit(ran.append, "taken")
        taken.cancel()
        held.go.set()
        taken.result(WAIT)


def test_what_ends_needs_no_free_thread():
    threads, order = SerialThreads(2), []
    waiting = threads.queue()
    held = hold(threads, 2)
    other = threads.queue().submit(order.append, "other")
    waiting.submit(order.append, "waited")
    last = waiting.submit(order.append, "end")
    waiting.shutdown()
    last.result(WAIT)
    assert order == ["waited", "end"]
    with pytest.raises(RuntimeError, match="shutdown"):
        waiting.submit(int)
    # One that ends is served once only, and those after it, too.
    again = threads.queue()
    last = again.submit(order.append, "again")
    again.shutdown()
    last.result(WAIT)
    until(lambda: threads.threads == 2)
    for one in held:
        one.go.set()
    other.result(WAIT)
    assert order == ["waited", "end", "again", "other"]


def test_an_occupied_queue_waits_until_it_is_released():
    threads = SerialThreads(2)
    queue = threads.queue()
    assert queue.occupy()
    assert not queue.occupy()
    job = queue.submit(int)
    threads.queue().submit(int).result(WAIT)
    assert not job.done()
    queue.release()
    assert job.result(WAIT) == 0


def test_a_queue_without_room_waits_with_no_thread(monkeypatch):
    threads, order, room = SerialThreads(1), [], []
    queue = threads.queue()
    queue.room = lambda: bool(room)
    taken, waits, behind = (queue.submit(order.append, name) for name in ("taken", "waits", "behind"))
    threads.queue().submit(int).result(WAIT)
    # It was asked and may still be taken back; the only thread did what another queue wanted.
    assert taken.cancel()
    assert not waits.done()
    # Room comes without a job of ours: somebody looks from time to time.
    room.append(True)
    wait([waits, behind], WAIT)
    assert order == ["waits", "behind"]
    room.clear()
    refused = queue.submit(order.append, "refused")
    threads.queue().submit(int).result(WAIT)
    queue.room = lambda: 1 // 0
    with pytest.raises(ZeroDivisionError):
        refused.result(WAIT)
    queue.room = lambda: bool(room)
    last = queue.submit(order.append, "last")
    threads.queue().submit(int).result(WAIT)
    # The end of a queue asks at once, and every time that something ended.
    queue.shutdown()
    room.append(True)
    last.result(WAIT)
    assert order == ["waits", "behind", "last"]


def test_an_error_is_that_of_the_job():
    threads = SerialThreads(1)
    with pytest.raises(SystemExit):
        threads.queue().submit(exit, 3).result(WAIT)
    assert threads.queue().submit(int).result(WAIT) == 0
    with pytest.raises(ValueError, match="one thread at least"):
        SerialThreads(0)


def test_the_system_has_no_thread_left(monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    threads, ran = SerialThreads(4), []
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        queue = threads.queue()
        with pytest.raises(RuntimeError, match="start"):
            queue.submit(ran.append, "refused")
    queue.submit(ran.append, "later").result(WAIT)
    (held,) = hold(threads, 1)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        waits = queue.submit(ran.append, "waits")
    held.go.set()
    waits.result(WAIT)
    assert ran == ["later", "waits"]


async def test_closed_threads_are_gone_and_come_again(monkeypatch):
    monkeypatch.setattr(serial_threads, "END", 0.01)
    threads = SerialThreads(4)
    held = hold(threads, 2)
    threads.queue().submit(int).result(WAIT)
    held[0].go.set()
    until(lambda: threads.completed == 2)
    # One is in the middle of its job: it is left to it.
    await threads.close()
    assert threads.threads == 1
    held[1].go.set()
    await threads.close()
    until(lambda: threads.threads == 0)
    assert await asyncio.get_running_loop().run_in_executor(threads.queue(), int) == 0
    await threads.close()
    until(lambda: threads.threads == 0)
