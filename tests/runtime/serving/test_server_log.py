"""The server's own records of what clients do."""

import asyncio
import logging

import pytest

from runtime import Actor, InProcessServer, Registry, create_app
from runtime.logs import FAULTS, MAX_TEXTS
from runtime.serving.server_log import GONE_CLIENT, Seldom, limit_server_log
from tests.runtime.parts import virtual


class Nobody(Actor):
    name = "nobody"


@pytest.fixture
def records():
    """What the logger of the server writes."""
    logger, written = logging.getLogger("uvicorn.error"), []

    class Kept(logging.Handler):
        def emit(self, record):
            written.append(record.getMessage())

    handler = Kept()
    logger.addHandler(handler)
    yield written
    logger.removeHandler(handler)


async def test_what_is_no_request_is_noted_a_few_times(records):
    for found in list(logging.getLogger("uvicorn.error").filters):
        logging.getLogger("uvicorn.error").removeFilter(found)
    async with InProcessServer(create_app(Registry(Nobody), storage="memory")) as server:
        for _ in range(40):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"\x00\x01 nothing\r\n\r\n")
            await reader.read(65_536)
            writer.close()
    assert len(records) <= FAULTS


def record(text, *args):
    return logging.LogRecord("x", logging.WARNING, "", 0, text, args, None)


@virtual
async def test_texts_are_limited_each_by_itself_and_by_what_is_fixed_in_them():
    seldom = Seldom()
    assert sum(seldom.filter(record("failed: %s", number)) for number in range(50)) == FAULTS
    assert seldom.filter(record("other"))
    await asyncio.sleep(31)
    again = record("failed: %s", 7)
    assert seldom.filter(again)
    assert again.getMessage() == "failed: 7 (40 more were left out)"
    assert sum(seldom.filter(record(f"text {number}")) for number in range(1000)) <= MAX_TEXTS + FAULTS


@virtual
async def test_of_asyncio_only_what_clients_bring_about_is_limited():
    seldom = Seldom(GONE_CLIENT)
    assert sum(seldom.filter(record("socket.send() raised exception.")) for _ in range(50)) == FAULTS
    assert all(seldom.filter(record("Task exception was never retrieved")) for _ in range(50))


def test_a_process_has_one_limit_however_many_servers():
    for _ in range(3):
        limit_server_log()
    for name in ("uvicorn.error", "asyncio"):
        assert len([one for one in logging.getLogger(name).filters if isinstance(one, Seldom)]) == 1
