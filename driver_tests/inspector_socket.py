"""An open inspector socket of one actor."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from websockets import ConnectionClosed
from websockets.asyncio.client import connect

from driver_tests.inspecting import Inspector, inspect
from driver_tests.inspector_messages import decode, encode
from harness.testing.codecs import dump_value, load_value

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TIMEOUT = 10.0
LEGACY = b"\x05\x00"


class InspectorSocket:
    """Requests, answers and pushes. `version` None is the legacy form, whose frames carry their version."""

    def __init__(self, conform: Any, connection: Any, version: int | None) -> None:
        self.conform = conform
        self.connection = connection
        self.version = version
        self.pushed: list[tuple[str, dict[str, Any]]] = []
        self._ids = itertools.count(1)

    async def send(self, request: str, /, **fields: Any) -> None:
        """Send one request."""
        frame = encode(request, self.version or 5, fields)
        await self.connection.send(frame if self.version else LEGACY + frame)

    async def receive(self) -> tuple[str, dict[str, Any]]:
        """The next message whatever it is."""
        async with asyncio.timeout(self.conform.limit(TIMEOUT)):
            frame = await self.connection.recv()
        return self._decoded(frame)

    def _decoded(self, frame: Any) -> tuple[str, dict[str, Any]]:
        assert isinstance(frame, bytes), "the inspector sends binary frames only"
        if self.version is None:
            assert frame[:2] == LEGACY
            frame = frame[2:]
        return decode(frame, self.version or 5)

    async def ask(self, request: str, /, **fields: Any) -> dict[str, Any]:
        """The answer to one request; what is pushed meanwhile goes to `pushed`."""
        number = next(self._ids)
        await self.send(request, id=number, **fields)
        while True:
            kind, answer = await self.receive()
            if kind == "Error":
                raise InspectorError(answer["message"])
            if "rid" in answer:
                assert answer["rid"] == number, f"{kind} answers {answer['rid']} instead of {number}"
                return answer
            self.pushed.append((kind, answer))

    async def until(self, name: str, wanted: Any = lambda _: True) -> dict[str, Any]:
        """The next message of that name whose fields satisfy `wanted`; others are dropped."""
        async with asyncio.timeout(self.conform.limit(TIMEOUT)):
            while True:
                kind, fields = await self.receive()
                if kind == name and wanted(fields):
                    return fields

    async def told(self, quiet: float = 0.3) -> list[tuple[str, dict[str, Any]]]:
        """All that was pushed since the last look, in order, until nothing comes for `quiet` seconds.

        A request goes ahead: what was on its way when it was made comes before its answer.
        """
        number = next(self._ids)
        await self.send("RpcsList", id=number)
        while (message := await self.receive()) and message[1].get("rid") != number:
            self.pushed.append(message)
        with contextlib.suppress(TimeoutError):
            while True:
                async with asyncio.timeout(quiet):
                    frame = await self.connection.recv()
                self.pushed.append(self._decoded(frame))
        told, self.pushed = self.pushed, []
        return told

    async def action(self, name: str, *args: Any) -> Any:
        """Run an action over the socket."""
        return load_value((await self.ask("Action", name=name, args=dump_value(list(args))))["output"])

    async def closed(self) -> tuple[int | None, str]:
        """Read to the end; code and reason."""
        return (await ending(self.conform, self.connection))[1:]


class InspectorError(Exception):
    """The `Error` message that answered a request."""


async def ending(conform: Any, connection: Any) -> tuple[list[bytes], int | None, str]:
    """What still comes until the server closes; then code and reason."""
    messages = []
    async with asyncio.timeout(conform.limit(TIMEOUT)):
        with contextlib.suppress(ConnectionClosed):
            while True:
                messages.append(await connection.recv())
    return messages, connection.close_code, connection.close_reason


@asynccontextmanager
async def opened(
    conform: Any, inspector: Inspector, query: str = "?protocol_version=6", *, token: str | None = None, header: bool = False
) -> AsyncIterator[Any]:
    """A bare WebSocket to the inspector; `token` defaults to the right one, empty sends none."""
    given = inspector.token if token is None else token
    url = f"{conform.endpoint.replace('http', 'ws', 1)}/gateway/{inspector.actor_id}/inspector/connect{query}"
    protocols = ["rivet"] if header or not given else ["rivet", f"rivet_inspector_token.{given}"]
    headers = {"authorization": f"Bearer {given}"} if header and given else {}
    async with connect(
        url, subprotocols=protocols, additional_headers=headers, compression=None, open_timeout=conform.limit(TIMEOUT)
    ) as connection:
        yield connection


@asynccontextmanager
async def inspecting(conform: Any, name: str, version: int | None = 6) -> AsyncIterator[tuple[InspectorSocket, dict[str, Any]]]:
    """An open session with the test's actor of this name, and its first message."""
    query = "" if version is None else f"?protocol_version={version}"
    async with opened(conform, await inspect(conform, name), query) as connection:
        socket = InspectorSocket(conform, connection, version)
        kind, init = await socket.receive()
        assert kind == "Init"
        yield socket, init


def state_is(count):
    """Whether a message shows the counter at `count`."""
    return lambda fields: load_value(fields["state"]) == {"count": count}


async def until_shown(eventually, socket, count):
    """Ask until the state is shown; a runtime may show what was saved last."""
    await eventually(lambda: socket.ask("State"), until=state_is(count), what=f"a count of {count}")
