"""The unmodified npm client drives the reference runtime in a process of its own, on its own host and behind a real engine.

Each area is a Node script beside this file that prints one JSON line per check; a check that does not report fails the test, too.
"""

from __future__ import annotations

import json
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from harness.errors import TargetError
from harness.targets.engine import EngineTarget
from harness.targets.process import TargetProcess
from tests.peer.script import run_script

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from harness.targets.base import Endpoint
    from tests.peer.conftest import Npm

ENCODINGS = ("json", "cbor", "bare")
TOKEN = "the-operators"
CHECKS = {
    "actors": (
        "get or create",
        "get",
        "get of a missing key",
        "get for id",
        "create with input",
        "create of an existing key",
        "get or create with input",
        "resolve",
        "keys are told apart",
        "action by name",
        "concurrent actions",
        "rich values",
        "gateway URL",
        "dispose of a client",
    ),
    "connections": (
        "connect",
        "calls before the connection stands",
        "events reach every subscriber",
        "once",
        "unsubscribe",
        "connection state",
        "parameters",
        "a rejected connection",
        "errors of actions on a connection",
        "statuses",
    ),
    "lifecycle": (
        "sleep and wake by key",
        "a handle from before the sleep",
        "wake by id",
        "sleep of an idle actor",
        "an alarm wakes",
        "a call in progress goes on",
        "destroy",
        "a key is free after the destroy",
        "destroy closes connections",
    ),
    "errors": (
        "class",
        "simple",
        "detailed",
        "internal errors are masked",
        "time-out",
        "unknown action",
        "unknown actor type",
        "a request that is too large",
        "the actor goes on",
    ),
    "hibernation": (
        "a call on the connection wakes the actor",
        "connection state survives",
        "events after the wake arrive",
        "a connection that leaves during the sleep is gone",
        "a raw socket goes on",
    ),
    "queues": (
        "send",
        "order",
        "a waiting receiver",
        "nothing to receive",
        "enqueue and wait",
        "completion that does not come",
        "send on a connection",
        "a run handler completes",
        "full queue",
        "message that is too large",
    ),
    "raw": (
        "fetch",
        "fetch with a body",
        "fetch with headers",
        "fetch of a Request",
        "fetch with a query",
        "statuses of fetch",
        "fetch without a handler",
        "web socket",
        "binary messages",
        "path and query of a web socket",
        "several web sockets",
    ),
    "inspector": (
        "handshake in version 1",
        "handshake in version 2",
        "handshake in version 3",
        "handshake in version 4",
        "handshake in version 5",
        "handshake in version 6",
        "refused handshakes",
        "state is shown and told",
        "state is patched",
        "actions",
        "connections",
        "queue",
        "workflow",
        "an actor without a workflow",
        "schedules",
        "database",
        "sleep ends the session",
        "over HTTP",
    ),
    "token": (
        "with the token",
        "the operators' requests",
        "clients without the token",
        "connections, requests and sockets",
        "gateway URL",
        "sleep and wake",
    ),
}
TIMEOUT = 200.0
"""Seconds for one script; each check has a deadline of its own in there."""


@asynccontextmanager
async def served(storage: Path, token: str | None) -> AsyncIterator[Endpoint]:
    """`conform serve` on a free port, with durable data."""
    command = [sys.executable, "-m", "harness.cli", "serve", "--port", "0", "--storage", str(storage)]
    process = TargetProcess([*command, "--token", token] if token else command)
    try:
        yield await process.start()
    finally:
        await process.stop()


@asynccontextmanager
async def on_an_engine() -> AsyncIterator[Endpoint]:
    """The same actors behind an engine."""
    target = EngineTarget(test_mode=False)
    try:
        target.prepare()
    except TargetError as error:
        pytest.skip(str(error))
    try:
        yield await target.start(target.storages[0])
    finally:
        await target.stop()


@pytest.mark.timeout(TIMEOUT + 60, func_only=True)
@pytest.mark.parametrize("area", CHECKS)
@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_npm_client(npm: Npm, tmp_path: Path, encoding: str, area: str) -> None:
    """Every check of the area reports, in order, and is content."""
    async with served(tmp_path, TOKEN if area == "token" else None) as endpoint:
        await drive(npm, endpoint, encoding, area)


@pytest.mark.timeout(TIMEOUT + 60, func_only=True)
# Who may ask an engine what is the engine's to decide.
@pytest.mark.parametrize("area", [area for area in CHECKS if area != "token"])
@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_npm_client_on_an_engine(npm: Npm, encoding: str, area: str) -> None:
    """The same checks, on the same actors, through the engine's gateway."""
    async with on_an_engine() as endpoint:
        await drive(npm, endpoint, encoding, area)


async def drive(npm: Npm, endpoint: Endpoint, encoding: str, area: str) -> None:
    """Run the script of an area, and look whether all of its checks are content."""
    given = {
        "modules": str(npm.modules), "endpoint": endpoint.url, "encoding": encoding,
        "namespace": endpoint.namespace, "token": endpoint.token,
    }  # fmt: skip
    said = await run_script(npm, area, json.dumps(given), timeout=TIMEOUT)
    results = [json.loads(line) for line in said.splitlines()]
    failed = "\n\n".join(f"{result['name']}: {result['detail']}" for result in results if not result["ok"])
    assert not failed, failed
    assert [result["name"] for result in results] == list(CHECKS[area])
