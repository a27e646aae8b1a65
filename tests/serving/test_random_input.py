"""Random bytes at every endpoint: a structured answer each time, and the server keeps serving."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
import websockets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import connect

from fixtures import standard_registry
from runtime import InProcessServer, create_app

QUERY = "rvt-namespace=default&rvt-method=getOrCreate&rvt-pool=default&rvt-key=fuzz"
POST_TARGETS = (
    f"/gateway/counter/action/increment?{QUERY}",
    f"/gateway/queueActor/queue/greeting?{QUERY}",
    f"/gateway/counter/inspector/state?{QUERY}",
    "/actors",
    "/namespaces",
)
STRUCTURED = {"group", "code", "message"}
FUZZ = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Fuzzed:
    """A served registry on the loop of its own thread of tests: hypothesis calls are synchronous, so each runs the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, port: int) -> None:
        self.loop = loop
        self.endpoint = f"http://127.0.0.1:{port}"

    def run(self, work: Any) -> Any:
        """Run one coroutine."""
        return self.loop.run_until_complete(asyncio.wait_for(work, 20))

    async def request(self, method: str, target: str, headers: dict[str, Any], content: bytes) -> httpx.Response:
        """One request on a fresh connection."""
        async with httpx.AsyncClient(base_url=self.endpoint, trust_env=False) as http:
            return await http.request(method, target, headers=headers, content=content)

    async def alive(self) -> bool:
        """Whether the actor still answers."""
        response = await self.request("POST", f"/gateway/counter/action/getCount?{QUERY}", {}, b"{}")
        return response.status_code == 200


@pytest.fixture(scope="module")
def fuzzed() -> Any:
    """A server with all fixtures."""
    loop = asyncio.new_event_loop()
    server = InProcessServer(create_app(standard_registry()))
    loop.run_until_complete(server.__aenter__())
    yield Fuzzed(loop, server.port)
    loop.run_until_complete(server.__aexit__(None, None, None))
    loop.close()


@FUZZ
@given(target=st.sampled_from(POST_TARGETS), encoding=st.sampled_from(["json", "cbor", "bare", "x"]), body=st.binary(max_size=200))
def test_random_bodies(fuzzed: Fuzzed, target: str, encoding: str, body: bytes) -> None:
    """A random body gets an answer that is no crash (WIRE-024, WIRE-315)."""
    headers = {"x-rivet-encoding": encoding, "content-type": "application/json"}
    response = fuzzed.run(fuzzed.request("POST", target, headers, body))
    assert response.status_code < 500 or response.content
    if response.headers.get("content-type") == "application/json" and response.status_code >= 400 and "inspector" not in target:
        assert response.json().keys() >= STRUCTURED
    assert fuzzed.run(fuzzed.alive())


@FUZZ
@given(path=st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#?"), max_size=60))
def test_random_paths(fuzzed: Fuzzed, path: str) -> None:
    """A random path gets a structured error or a known answer (WIRE-020, WIRE-229)."""
    response = fuzzed.run(fuzzed.request("GET", f"/{path}", {}, b""))
    if response.status_code not in (200, 204, 405):
        assert response.json().keys() >= STRUCTURED
    gateway = fuzzed.run(fuzzed.request("POST", f"/gateway/{path}", {}, b"{}"))
    if gateway.status_code >= 400 and gateway.content:
        assert gateway.json().keys() >= STRUCTURED
    assert fuzzed.run(fuzzed.alive())


@FUZZ
@given(
    encoding=st.sampled_from(["json", "cbor", "bare"]),
    frames=st.lists(st.binary(max_size=100) | st.text(max_size=60), min_size=1, max_size=4),
)
def test_random_frames(fuzzed: Fuzzed, encoding: str, frames: list[bytes | str]) -> None:
    """Random frames close the connection with a named reason, or are understood (WIRE-531)."""

    async def talk() -> tuple[int | None, str]:
        url = f"ws{fuzzed.endpoint.removeprefix('http')}/gateway/counter/connect?{QUERY}"
        async with connect(url, subprotocols=["rivet", f"rivet_encoding.{encoding}"], proxy=None, compression=None) as socket:  # type: ignore[list-item]
            await socket.recv()
            try:
                for frame in frames:
                    await socket.send(frame)
                async with asyncio.timeout(2):
                    while True:
                        await socket.recv()
            except (websockets.ConnectionClosed, TimeoutError):
                pass
            return socket.close_code, socket.close_reason or ""

    code, reason = fuzzed.run(talk())
    assert code in (1000, 1011), (code, reason)
    if code == 1011:
        assert reason in ("actor.invalid_request", "message.incoming_too_long")
    assert fuzzed.run(fuzzed.alive())
