"""Several HTTP requests that reach the target at the same moment.

An HTTP client spreads its requests: it opens connections as it goes and writes from task after task, so that a bounded inbox is emptied
between any two. Here every request has a connection of its own that is open before the first byte is written, and all are written in one
turn of the event loop.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import h11
import httpx

from client.transport import certificates
from harness.evidence.transcript import RawExchange

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from harness.evidence.transcript import Transcript

_CHUNK = 65_536


async def volley(requests: Sequence[httpx.Request], transcript: Transcript) -> list[tuple[httpx.Response, float]]:
    """The answers in the order of the requests, each with the loop time at which it was complete."""
    # All connections first, one after the other: what takes time happens before the moment that is to be the same for all.
    links = [await _open(request) for request in requests]
    started = asyncio.get_running_loop().time()
    try:
        for request, (_, writer, talk) in zip(requests, links, strict=True):
            # No `drain` in between: it could give the loop a turn, and the target time to serve the first.
            writer.write(_written(request, talk))
        answers = await asyncio.gather(*(_answer(one, reader, talk) for one, (reader, _, talk) in zip(requests, links, strict=True)))
    finally:
        for _, writer, _ in links:
            writer.close()
    # Noted afterwards: what the transcript costs must not come between two answers.
    for request, (response, ended) in zip(requests, answers, strict=True):
        transcript.on_raw(RawExchange(request, response, started, ended))
    return answers


async def _open(request: httpx.Request) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, h11.Connection]:
    url = request.url
    context: ssl.SSLContext | None = certificates() if url.scheme == "https" else None
    reader, writer = await asyncio.open_connection(url.host, url.port or (443 if context else 80), ssl=context)
    return reader, writer, h11.Connection(our_role=h11.CLIENT)


def _written(request: httpx.Request, talk: h11.Connection) -> bytes:
    head = h11.Request(method=request.method, target=request.url.raw_path, headers=request.headers.raw)
    parts = [talk.send(head), talk.send(h11.Data(data=request.content)), talk.send(h11.EndOfMessage())]
    return b"".join(part for part in parts if part is not None)


def _next(request: httpx.Request, talk: h11.Connection) -> object:
    try:
        return talk.next_event()
    except h11.RemoteProtocolError as error:
        raise httpx.RemoteProtocolError(f"no complete answer to {request.url}: {error}", request=request) from error


async def _answer(request: httpx.Request, reader: asyncio.StreamReader, talk: h11.Connection) -> tuple[httpx.Response, float]:
    head: h11.Response | None = None
    body = bytearray()
    while not isinstance(event := _next(request, talk), h11.EndOfMessage):
        if event is h11.NEED_DATA:
            talk.receive_data(await reader.read(_CHUNK))
        elif isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif not isinstance(event, h11.InformationalResponse):
            raise httpx.RemoteProtocolError(f"the connection ended without a complete answer to {request.url}", request=request)
    assert head is not None
    response = httpx.Response(head.status_code, headers=list(head.headers), content=bytes(body), request=request)
    return response, asyncio.get_running_loop().time()
