"""The bystander of hostile tests sees a server that is held up, and no other."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from tests.serving.bystander import bystander


class Answering(asyncio.Protocol):
    """Answers each piece that arrives."""

    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(self.answer)


class Refusing(Answering):
    answer = b"HTTP/1.1 503 Service Unavailable\r\n\r\n"


@asynccontextmanager
async def listening(protocol):
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        # One turn, for the end of the connection.
        await asyncio.sleep(0.01)


class InPieces(Answering):
    """Its answers arrive head first."""

    def data_received(self, data):
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
        asyncio.get_running_loop().call_later(0.005, self.transport.write, b"body")


async def test_an_answer_in_pieces_is_one_answer():
    async with listening(InPieces) as url, bystander(url) as beside:
        while len(beside.waits) < 3:  # noqa: ASYNC110 - a thread counts them
            await asyncio.sleep(0.005)


async def test_a_server_that_goes_on_is_seen_to_go_on():
    async with listening(Answering) as url, bystander(url) as beside:
        while len(beside.waits) < 3:  # noqa: ASYNC110 - a thread counts them
            await asyncio.sleep(0.005)


async def test_a_held_loop_is_found_though_it_only_sleeps():
    async with listening(Answering) as url:
        with pytest.raises(AssertionError, match=r"p100 \d{3}"):
            async with bystander(url) as beside:
                while not beside.waits:  # noqa: ASYNC110 - a thread counts them
                    await asyncio.sleep(0.005)
                time.sleep(0.15)  # noqa: ASYNC251 - what the test is about


async def test_a_refused_bystander_is_a_failure():
    async with listening(Refusing) as url:
        with pytest.raises(AssertionError, match=r"no answer.*503"):
            async with bystander(url) as beside:
                while beside.fault is None:  # noqa: ASYNC110 - a thread says so
                    await asyncio.sleep(0.005)
