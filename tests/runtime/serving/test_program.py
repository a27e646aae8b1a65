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
