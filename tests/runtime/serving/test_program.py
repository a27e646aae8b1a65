"""A program that serves: the signals that end it, and what is left when it is killed."""

import asyncio
import signal
import sys

import httpx
import pytest

PROGRAM = """
import sys
from runtime import Actor, Registry, action, serve
import asyncio

class Sleeper(Actor):
    name = "sleeper"

    def on_sleep(self, c):
        print("slept", flush=True)

    @action
    def hello(self, c):
        return "hello"

asyncio.run(serve(Registry(Sleeper), port=0, on_ready=lambda url: print(url, flush=True)))
print("ended", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_every_actor_gracefully(number):
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(30):
            url = (await child.stdout.readline()).decode().strip()
            async with httpx.AsyncClient(base_url=url, verify=False) as http:
                body = {"name": "sleeper", "key": "k", "runner_name_selector": "default", "crash_policy": "sleep"}
                created = await http.put("/actors?namespace=default", json=body)
                await http.post(f"/gateway/{created.json()['actor']['actor_id']}/action/hello", json={})
            child.send_signal(number)
            rest = (await child.stdout.read()).decode().split()
            assert (await child.wait(), rest) == (0, ["slept", "ended"])
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


STUBBORN = """
import asyncio, sys, time
from runtime import Actor, Registry, action, serve
from runtime.serving import event_loop, in_process, program

event_loop.LEAVING_TIME = in_process.DRAIN_TIMEOUT = 0.1

class Stubborn(Actor):
    name = "stubborn"

    @action
    async def never(self, c):
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                print("no", flush=True)

    @action
    def hang(self, c):
        print("hanging", flush=True)
        time.sleep(30)

program.run(Registry(Stubborn), port=0, storage="memory", options=OPTIONS)
"""
KEPT = """
import asyncio, sys
from runtime import Actor, Registry, action, serve

class Kept(Actor):
    name = "kept"
    state = {"count": 0}

    @action
    async def add(self, c):
        c.state.count += 1
        await c.save_state(immediate=True)
        return c.state.count

asyncio.run(serve(Registry(Kept), port=0, storage=sys.argv[1], on_ready=lambda url: print(url, flush=True)))
"""


async def test_a_killed_process_loses_nothing_that_was_saved(tmp_path):
    """STOP-035, STOP-036: no hook ran, the record says so, and the actor goes on with its saved state."""
    body = {"name": "kept", "key": "k", "runner_name_selector": "default", "crash_policy": "sleep"}
    seen = []
    for _ in range(3):
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", KEPT, str(tmp_path), stdout=asyncio.subprocess.PIPE)
        try:
            async with asyncio.timeout(30):
                url = (await child.stdout.readline()).decode().strip()
                async with httpx.AsyncClient(base_url=url, verify=False) as http:
                    found = (await http.put("/actors?namespace=default", json=body)).json()
                    answer = await http.post(f"/gateway/{found['actor']['actor_id']}/action/add", json={})
                    seen.append((found["created"], found["actor"]["actor_id"], answer.json(), answer.headers["x-rivet-actor-generation"]))
        finally:
            child.kill()
            await child.wait()
    actor_id = seen[0][1]
    assert seen == [
        (True, actor_id, {"output": 1}, "1"), (False, actor_id, {"output": 2}, "2"), (False, actor_id, {"output": 3}, "3"),
    ]  # fmt: skip


UNTIL_URL = b"Serving"


class Program:
    """`run` in a process of its own, with one actor that does not end by itself."""

    def __init__(self, child, port):
        self.child, self.port = child, port

    async def call(self, action):
        """Begin a call; its connection."""
        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        body = b'{"args":[]}'
        query = "rvt-namespace=default&rvt-method=getOrCreate&rvt-runner=default&rvt-key=k"
        head = f"POST /gateway/stubborn/action/{action}?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        return writer

    async def said(self, wanted):
        while wanted not in (line := await self.child.stderr.readline()):
            assert line, f"{wanted!r} was not said"


@pytest.fixture
async def stubborn():
    source = STUBBORN.replace("OPTIONS", "__import__('runtime').HostOptions(grace_period_override=0.2)")
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", source, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(20):
            line = await child.stderr.readline()
            while UNTIL_URL not in line:
                assert line
                line = await child.stderr.readline()
            yield Program(child, int(line.decode().partition("http://127.0.0.1:")[2].partition(",")[0]))
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def test_work_that_ignores_its_cancellation_does_not_keep_a_program(stubborn):
    writer = await stubborn.call("never")
    await asyncio.sleep(0.3)
    stubborn.child.send_signal(signal.SIGTERM)
    await stubborn.said(b"A second signal")
    assert await stubborn.child.wait() == 0
    writer.close()


async def test_a_refused_upgrade_that_stays_open_spoils_no_end(stubborn):
    _, writer = await asyncio.open_connection("127.0.0.1", stubborn.port)
    head = "GET /gateway/stubborn/connect HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    writer.write(head.encode() + b"Sec-WebSocket-Protocol: rivet, " + b"x" * 200_000 + b"\r\n\r\n")
    await asyncio.sleep(0.1)
    stubborn.child.send_signal(signal.SIGTERM)
    await stubborn.said(b"A second signal")
    assert await stubborn.child.wait() == 0
    writer.close()


async def test_a_second_signal_ends_a_program_whatever_it_does(stubborn):
    writer = await stubborn.call("never")
    await asyncio.sleep(0.1)
    other = await stubborn.call("hang")
    assert await stubborn.child.stdout.readline() == b"hanging\n"
    stubborn.child.send_signal(signal.SIGINT)
    await asyncio.sleep(0.1)
    stubborn.child.send_signal(signal.SIGINT)
    assert await stubborn.child.wait() == -signal.SIGINT
    for each in (writer, other):
        each.close()
