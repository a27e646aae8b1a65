"""A real engine starts, is set up, keeps its data over kills and restarts, and leaves nothing."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from harness.errors import TargetError
from harness.targets.engine_process import EngineProcess, EngineSettings
from harness.targets.engine_store import SharedStore, database_programs, message_program
from harness.targets.process import log_file
from harness.testing.eventually import Eventually
from runtime.hosting.engine.setup import SetUpError, check_version, destroy_actor, set_up, wait_listed

pytestmark = pytest.mark.timeout(120, func_only=True)


async def namespaces(engine):
    async with httpx.AsyncClient(base_url=engine.url) as http:
        return {one["name"] for one in (await http.get("/namespaces")).json()["namespaces"]}


async def test_set_up_outlives_restarts(program):
    async with EngineProcess(program) as engine:
        await check_version(engine.url)
        await set_up(engine.url, "here", "a pool/1", "dev")
        await set_up(engine.url, "here", "a pool/1", "dev")
        await engine.halt()
        await engine.start()
        assert await namespaces(engine) == {"default", "here"}
        await engine.halt(signal.SIGKILL)
        await engine.start()
        await set_up(engine.url, "here", "another", "dev")
    assert not engine.directory.exists()


async def test_what_is_not_there_is_told(program):
    async with EngineProcess(program) as engine:
        await set_up(engine.url, "here", "pool")
        with pytest.raises(SetUpError, match=r"envoy nobody is not listed in pool pool of namespace here after 0\.5 s"):
            await wait_listed(engine.url, "here", "pool", "nobody", within=0.5)
        with pytest.raises(SetUpError, match=r"DELETE /actors/x\?namespace=here: 400 .*bad_request"):
            await destroy_actor(engine.url, "here", "x")
        created = {"name": "any", "runner_name_selector": "pool", "crash_policy": "sleep"}
        async with httpx.AsyncClient(base_url=engine.url) as http:
            actor = (await http.post("/actors?namespace=here", json=created)).json()["actor"]["actor_id"]
            with pytest.raises(SetUpError, match=r"is not destroyed after 0\.5 s.*namespace.*not_found"):
                await destroy_actor(engine.url, "nowhere", actor, within=0.5)
            await destroy_actor(engine.url, "here", actor, "dev")
            await destroy_actor(engine.url, "here", actor, "dev")
            there = (await http.get(f"/actors?namespace=here&actor_ids={actor}&include_destroyed=true")).json()["actors"]
        assert there[0]["destroy_ts"] is not None


async def test_settings_reach_it_and_mistakes_are_told(program):
    async with EngineProcess(program, EngineSettings({"envoy_lost_threshold": 2000, "envoy_ping_timeout": 2000})) as engine:
        await check_version(engine.url)
    with pytest.raises(TargetError, match=r"(?s)ended with status 1 before it was healthy; its log ends with:.*unknown field `zork`"):
        async with EngineProcess(program, EngineSettings({"zork": 1})) as engine:
            pass
    assert not engine.directory.exists()


PARENT = """
import asyncio, os, signal, sys
from pathlib import Path
from harness.targets.engine_process import EngineProcess
async def main():
    async with EngineProcess(Path(sys.argv[1])) as engine:
        print(engine.pid, engine.directory, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


def test_it_ends_with_whoever_started_it(program):
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(program)], stdout=subprocess.PIPE, text=True)
    pid, directory = parent.stdout.readline().split()
    assert alive(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    asyncio.run(Eventually()(lambda: not alive(pid)))
    shutil.rmtree(directory)


def alive(pid):
    # Whoever inherits it may be slow to take note that it ended.
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "(zombie)" not in status.read_text()


async def test_two_share_their_data(program):
    try:
        database_programs(), message_program()
    except TargetError as error:
        pytest.skip(str(error))
    log = log_file()
    store = SharedStore(log)
    try:
        await store.start()
        first = EngineProcess(program, EngineSettings(store=store.blocks), log=log)
        second = EngineProcess(program, EngineSettings(store=store.blocks, leader=first.ports), log=log)
        async with first, second:
            await set_up(first.url, "here", "pool")
            assert await namespaces(second) == {"default", "here"}
            await first.halt(signal.SIGKILL)
            assert await namespaces(second) == {"default", "here"}
    finally:
        await store.stop()
        log.unlink()
