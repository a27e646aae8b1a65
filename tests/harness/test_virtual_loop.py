"""The virtual-time loop on its own, and under unchanged uvicorn, httpx and websockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time

import httpx
import pytest
import websockets

from harness.session.virtual_loop import VirtualDeadlock, VirtualLoop, new_virtual_loop
from tests.harness.app_server import AppServer
from tests.harness.fake_app import FakeApp

virtual_time = pytest.mark.virtual_time


@contextlib.contextmanager
def stopwatch(at_most: float):
    began = time.perf_counter()
    yield
    assert time.perf_counter() - began < at_most


@contextlib.asynccontextmanager
async def served():
    server = AppServer(FakeApp())
    url = await server.start()
    async with httpx.AsyncClient(base_url=url, timeout=120) as http:
        yield http
    await server.stop()


@virtual_time
async def test_a_long_sleep_takes_no_real_time():
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    began = loop.time()
    with stopwatch(0.5):
        await asyncio.sleep(3600)
    assert loop.time() - began == pytest.approx(3600, abs=0.01)


@virtual_time
async def test_timers_fire_in_order_at_their_time():
    loop = asyncio.get_running_loop()
    fired = []
    began = loop.time()
    for delay in (5, 1, 3, 2, 4):
        loop.call_later(delay, lambda delay=delay: fired.append((delay, round(loop.time() - began, 2))))
    await asyncio.sleep(6)
    assert fired == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0), (5, 5.0)]


@virtual_time
async def test_wall_time_moves_with_the_virtual_clock():
    loop = asyncio.get_running_loop()
    before = loop.wall_time()
    assert before == pytest.approx(time.time(), abs=60)
    await asyncio.sleep(1000)
    assert loop.wall_time() - before == pytest.approx(1000, abs=0.01)


@virtual_time
async def test_busy_waiting_for_a_deadline_ends():
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 0.01
    while loop.time() < deadline:  # noqa: ASYNC110 -- this is what is tested
        await asyncio.sleep(0)


@virtual_time
async def test_executor_jobs_hold_the_clock():
    loop = asyncio.get_running_loop()
    began = loop.time()
    sleeper = asyncio.create_task(asyncio.sleep(10))
    assert await asyncio.to_thread(lambda: time.sleep(0.05) or "done") == "done"
    assert loop.time() - began < 1
    await sleeper


@virtual_time
async def test_a_cancelled_job_still_holds_the_clock_until_its_thread_is_done():
    loop = asyncio.get_running_loop()
    finished = []
    future = loop.run_in_executor(None, lambda: (time.sleep(0.1), finished.append(True)))
    await asyncio.sleep(0)
    future.cancel()
    await asyncio.sleep(60)
    assert finished == [True]
    assert loop.jobs == 0


@virtual_time
async def test_a_time_out_wins_over_a_later_timer():
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await asyncio.sleep(10)


def test_nothing_to_wait_for_is_a_deadlock():
    loop = VirtualLoop(stall=0.1)
    with contextlib.closing(loop), pytest.raises(VirtualDeadlock, match="no timer is armed"):
        task = loop.create_task(asyncio.Event().wait())
        try:
            loop.run_until_complete(task)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                loop.run_until_complete(task)


def test_a_stuck_job_is_a_deadlock_and_can_be_handled():
    loop = VirtualLoop(stall=0.1)
    release = threading.Event()
    seen = []

    async def main():
        task = asyncio.current_task()
        loop.on_stall = lambda message: (seen.append(message), task.cancel())
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.to_thread(release.wait)
        release.set()

    with contextlib.closing(loop):
        loop.run_until_complete(main())
        loop.run_until_complete(loop.shutdown_default_executor())
    assert "1 executor job(s) still run" in seen[0]


def test_a_byte_from_another_thread_wakes_a_loop_without_timers():
    near, far = socket.socketpair()
    near.setblocking(False)
    threading.Timer(0.05, far.send, (b"x",)).start()
    with asyncio.Runner(loop_factory=new_virtual_loop) as runner:
        assert runner.run(_receive(near)) == b"x"
    near.close()
    far.close()


async def _receive(sock: socket.socket) -> bytes:
    return await asyncio.get_running_loop().sock_recv(sock, 1)


@virtual_time
async def test_uvicorn_and_httpx_run_unchanged():
    async with served() as http:
        loop = asyncio.get_running_loop()
        began = loop.time()
        with stopwatch(5):
            for number in range(50):
                assert (await http.post("/", content=str(number).encode())).text == str(number)
        assert loop.time() - began < 0.5, "requests must not make the clock jump"
        answers = await asyncio.gather(*(http.post("/", content=b"%d" % number) for number in range(100)))
        assert [answer.text for answer in answers] == [str(number) for number in range(100)]


@virtual_time
async def test_a_minute_in_the_server_costs_milliseconds():
    async with served() as http:
        loop = asyncio.get_running_loop()
        await http.get("/")
        jumps, began = loop.jumps, loop.time()
        with stopwatch(0.5):
            await http.get("/wait?seconds=60")
        assert loop.time() - began == pytest.approx(60, abs=0.05)
        assert loop.jumps - jumps == pytest.approx(600, abs=20), "uvicorn's own tick of 0.1 s is all that happens meanwhile"


@virtual_time
async def test_blocking_work_in_the_server_does_not_time_the_client_out():
    async with served() as http:
        assert (await http.post("/block?seconds=0.2", content=b"ok", timeout=0.1)).text == "ok"


@virtual_time
async def test_large_bodies_arrive_before_time_passes():
    async with served() as http:
        loop = asyncio.get_running_loop()
        began = loop.time()
        body = b"x" * 4_000_000
        assert (await http.post("/", content=body, timeout=1)).content == body
        assert loop.time() - began < 1


@virtual_time
async def test_websockets_run_unchanged():
    async with served() as http:
        url = str(http.base_url).replace("http", "ws")
        async with websockets.connect(url) as connection:
            for number in range(100):
                await connection.send(str(number))
                assert await connection.recv() == str(number)
            await asyncio.sleep(300)
            await connection.send("still there")
            assert await connection.recv() == "still there"


@virtual_time
async def test_a_reader_that_does_not_read_does_not_stop_the_clock():
    async def never_reads(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()
        await asyncio.sleep(5)
        writer.close()

    server = await asyncio.start_server(never_reads, "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
    writer.write(b"x" * 1000)
    with stopwatch(5):
        await asyncio.sleep(3)
    writer.close()
    server.close()
    await asyncio.sleep(10)


@virtual_time
async def test_closing_both_ends_leaves_nothing_under_way():
    async with served() as http:
        await http.get("/")
    loop = asyncio.get_running_loop()
    with stopwatch(0.2):
        await asyncio.sleep(1)
    assert not loop.loopback.busy
