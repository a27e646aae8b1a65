"""Runs the Node scripts of this directory."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.peer.conftest import Npm


async def run_script(npm: Npm, name: str, argument: str, *, timeout: float) -> str:
    """What a script prints; it runs where the packages are.

    Raises:
        AssertionError: it failed, or took longer than `timeout` seconds.
    """
    script = str(Path(__file__).with_name(f"{name}.mjs"))
    process = await asyncio.create_subprocess_exec(
        npm.node, script, argument, cwd=npm.modules, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(timeout):
            said, complaints = await process.communicate()
    except TimeoutError:
        raise AssertionError(f"{name}.mjs was not done within {timeout:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, f"{name}.mjs ended with status {process.returncode}:\n{complaints.decode(errors='replace')[-4000:]}"
    return said.decode()
