"""One hostile connection, from its first byte to its end."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from fuzz.live import answers

if TYPE_CHECKING:
    from fuzz.grammars.exchange import Exchange

QUIET = 0.015
"""Seconds without a word after which nothing more is expected of an exchange that need not be answered."""
PATIENCE = 10.0
"""Seconds for a whole request to be answered, and for a connection to end after its client did."""
PIECE = 65536


async def attempt(host: str, port: int, exchange: Exchange) -> tuple[str, str | None]:
    """Do it; what it ended with, and what is wrong with that.

    Raises:
        OSError: The server takes no connection.
    """
    reader, writer = await asyncio.open_connection(host, port)
    try:
        return await _talk(reader, writer, exchange)
    except (ConnectionError, asyncio.IncompleteReadError):
        # A reset is an end like another: what was not read when it came is lost.
        return "reset", None
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, exchange: Exchange) -> tuple[str, str | None]:
    opened = b""
    if exchange.opening:
        writer.write(exchange.opening)
        try:
            async with asyncio.timeout(PATIENCE):
                opened = await reader.readuntil(answers.HEAD_END)
        except TimeoutError:
            return "silence", f"no answer to a handshake in {PATIENCE:.0f} s"
        if not opened.startswith(b"HTTP/1.1 101 "):
            return answers.http(opened + await reader.read(PIECE))
    for piece in exchange.pieces:
        writer.write(piece)
        # A server may well not read any more: then the rest is not sent.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(QUIET * 10):
                await writer.drain()
        if len(exchange.pieces) > 1:
            await asyncio.sleep(0)
    seen = await _heard(reader, exchange.whole)
    if exchange.whole and answers.response(seen) is None and not reader.at_eof():
        return "silence", f"no answer to a whole request in {PATIENCE:.0f} s"
    if writer.can_write_eof() and not writer.is_closing():
        with contextlib.suppress(OSError):
            writer.write_eof()
    try:
        async with asyncio.timeout(PATIENCE):
            while data := await reader.read(PIECE):
                seen += data
    except TimeoutError:
        return "open", f"the connection is open {PATIENCE:.0f} s after its client's end"
    if opened and not seen.startswith(b"HTTP/1.1 "):
        return answers.socket(seen)
    return answers.http(seen)


async def _heard(reader: asyncio.StreamReader, whole: bool) -> bytes:
    """What the server says until it is quiet, or until its answer is whole."""
    seen = b""
    with contextlib.suppress(TimeoutError):
        while True:
            async with asyncio.timeout(PATIENCE if whole else QUIET):
                data = await reader.read(PIECE)
            seen += data
            if not data or (whole and answers.response(seen) is not None):
                break
    return seen
