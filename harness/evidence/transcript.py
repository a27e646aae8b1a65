"""Everything one test exchanged with the target, kept as it was on the wire and read only when somebody asks.

Recording must cost next to nothing, because every test records and few fail: values are kept by reference, and rendering waits until the
end. Long transcripts keep their beginning and their end.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import httpx

from client import Exchange, SocketFrame
from client.network import HttpTransport
from client.transport import UNLIMITED, certificates

if TYPE_CHECKING:
    from collections.abc import Iterator

# The beginning shows how it was set up, the end how it failed; a loop in the middle is the same again and again.
FIRST = 1000
LAST = 2000


@dataclass(frozen=True, slots=True)
class RawExchange:
    """One exchange of the test's raw HTTP client; what it answered is read from `response` when it was read by the test."""

    request: httpx.Request
    response: httpx.Response | None
    started: float
    ended: float
    error: str | None = None

    def exchange(self) -> Exchange:
        """The same in the form of the client's exchanges."""
        response = self.response
        try:
            sent = self.request.content
        # A streamed body was never in memory; reading it here could block, or take it from the test.
        except httpx.RequestNotRead:
            sent = b""
        try:
            received = response.content if response is not None else b""
        except httpx.ResponseNotRead:
            received = b""
        return Exchange(
            self.request.method,
            str(self.request.url),
            dict(self.request.headers),
            sent,
            self.started,
            self.ended,
            response.status_code if response is not None else None,
            dict(response.headers) if response is not None else {},
            received,
            self.error,
        )


@dataclass(frozen=True, slots=True)
class Mark:
    """Something the harness did or saw, such as crossing a boundary; `at` is loop time in seconds."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Sighting(Mark):
    """A state of the target that was seen, or a span of time that was: what `harness.session.windows` makes windows of.

    Attributes:
        window: its name.
        since: for a wait, when it began.
        whole: whether it is a window whatever follows.
    """

    window: str = ""
    since: float | None = None
    whole: bool = False


Entry = Exchange | RawExchange | SocketFrame | Mark


class Transcript:
    """An observer of the client that keeps what it is told."""

    def __init__(self) -> None:
        """Empty; times count from now."""
        self.began = asyncio.get_running_loop().time()
        self._first: list[Entry] = []
        self._last: deque[Entry] = deque(maxlen=LAST)
        self.dropped = 0

    def on_exchange(self, exchange: Exchange) -> None:
        """One exchange of the client has ended."""
        self._add(exchange)

    def on_frame(self, frame: SocketFrame) -> None:
        """Something happened on a WebSocket of the client."""
        self._add(frame)

    def mark(self, text: str) -> None:
        """Note something that is not on the wire."""
        self._add(Mark(asyncio.get_running_loop().time(), text))

    def saw(self, window: str, *, since: float | None = None, whole: bool = False) -> None:
        """Note a state of the target that was seen, see `Sighting`."""
        self._add(Sighting(asyncio.get_running_loop().time(), f"seen: {window}", window, since, whole))

    def on_raw(self, exchange: RawExchange) -> None:
        """One exchange of the raw HTTP client has an answer."""
        self._add(exchange)

    def __iter__(self) -> Iterator[Entry]:
        yield from self._first
        yield from self._last

    def _add(self, entry: Entry) -> None:
        if len(self._first) < FIRST:
            self._first.append(entry)
            return
        # The deque drops silently; somebody who reads the transcript must know of the gap.
        self.dropped += len(self._last) == LAST
        self._last.append(entry)


@dataclass(frozen=True, slots=True)
class OwnFrame(SocketFrame):
    """A frame of a socket that the test itself speaks on: what it sends may be malformed on purpose."""


class OwnFrames:
    """An observer of such a socket; tells a transcript."""

    def __init__(self, transcript: Transcript) -> None:
        """Passes on to `transcript`."""
        self._transcript = transcript

    def on_exchange(self, exchange: Exchange) -> None:
        """A socket makes none."""
        self._transcript.on_exchange(exchange)

    def on_frame(self, frame: SocketFrame) -> None:
        """Something happened on the socket."""
        self._transcript.on_frame(OwnFrame(**{one.name: getattr(frame, one.name) for one in fields(frame)}))


class ObservedTransport(HttpTransport):
    """The transport of the test's raw HTTP client; tells a transcript."""

    def __init__(self, transcript: Transcript) -> None:
        """Speaks plain HTTP/1.1 without proxies."""
        super().__init__(certificates(), UNLIMITED)
        self._transcript = transcript

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass the request on and note it with its answer."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            response = await super().handle_async_request(request)
        except BaseException as error:
            self._transcript.on_raw(RawExchange(request, None, started, loop.time(), repr(error)))
            raise
        self._transcript.on_raw(RawExchange(request, response, started, loop.time()))
        return response
