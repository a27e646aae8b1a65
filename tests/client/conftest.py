"""A scripted gateway; tests marked `virtual_time` run in milliseconds, whatever the delays."""

from __future__ import annotations

import contextlib

import pytest

from client import Client, RetryPolicy
from tests.client.gateway import Gateway
from tests.harness.app_server import AppServer

EXACT = RetryPolicy(jitter=0)
"""Delays as the protocol has them, so that tests can measure them."""


@pytest.fixture
async def gateway():
    app = Gateway()
    server = AppServer(app)
    app.url = await server.start()
    yield app
    await server.stop()


@pytest.fixture
async def client(gateway):
    async with Client(gateway.url, policy=EXACT) as client:
        yield client


@pytest.fixture
async def new_client(gateway):
    """Further clients with other options."""
    async with contextlib.AsyncExitStack() as stack:

        async def make(**options):
            return await stack.enter_async_context(Client(options.pop("endpoint", gateway.url), **{"policy": EXACT, **options}))

        yield make


@pytest.fixture
def handle(client):
    return client.get_or_create("counter", "a")


@pytest.fixture
def watched():
    """Everything that listeners of one connection hear."""

    def watch(conn):
        seen = []
        conn.on_status_change(lambda status: seen.append(status))
        conn.on_open(lambda: seen.append("open"))
        conn.on_close(lambda: seen.append("close"))
        conn.on_error(lambda failure: seen.append(getattr(failure, "name", type(failure).__name__)))
        return seen

    return watch


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch) -> None:
    for name in ("ENGINE", "ENDPOINT", "NAMESPACE", "TOKEN", "POOL"):
        monkeypatch.delenv(f"RIVET_{name}", raising=False)
