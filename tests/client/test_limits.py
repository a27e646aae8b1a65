"""A peer that vanished or fell silent hangs nothing for ever (WIRE-909)."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from client import ActorError, ConfigurationError, Limits, SocketClosedError
from tests.client.silent import silent_server, vanishing_server

pytestmark = pytest.mark.virtual_time
LARGE = b"x" * 6_000_000


def limits(**changed):
    """So short that none is met by chance, each with a time of its own."""
    return Limits(**{"connect": 7, "write": 11, "response": 13, "metadata": 5, "open": 17, "close": 3, "ping_interval": None, **changed})


@asynccontextmanager
async def taking(seconds):
    """The block takes that long; it would hang for ever without the limit."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(1000):
        yield
    assert loop.time() - began == pytest.approx(seconds, abs=0.5)


@pytest.fixture
async def silent(new_client):
    """A client of a server that answers nothing."""
    async with silent_server() as url:
        yield await new_client(endpoint=url, metadata_lookup=False, limits=limits(), token="secret")


@pytest.fixture
async def vanishing(new_client):
    """A client of a server whose sockets open and then fall silent."""
    async with vanishing_server() as url:
        yield await new_client(endpoint=url, metadata_lookup=False, limits=limits(ping_interval=10, ping_timeout=20))


@pytest.mark.parametrize(
    ("call", "awaited"),
    [
        (lambda client: client.get_for_id("counter", "id").ping(), "the answer to POST /gateway/id/action/ping"),
        (lambda client: client.get_for_id("counter", "id").fetch("x?y=1"), "the answer to GET /gateway/id/request/x"),
        (lambda client: client.get_for_id("counter", "id").send("q"), "the answer to POST /gateway/id/queue/q"),
        (lambda client: client.get_or_create("counter").resolve(), "the answer to PUT /actors"),
        (lambda client: client.create("counter"), "the answer to POST /actors"),
        (lambda client: client.rest.datacenters(), "the answer to GET /datacenters"),
    ],
)
async def test_a_silent_server_is_given_up_by_every_request(silent, call, awaited):
    async with taking(13):
        with pytest.raises(ActorError) as failed:
            await call(silent)
    assert failed.value.name == "client.timed_out"
    assert failed.value.message == f"Timed out after 13 s waiting for {awaited}."
    assert failed.value.metadata == {"awaited": awaited, "seconds": 13}


async def test_an_answer_that_ceases_midway_is_given_up(new_client):
    async with silent_server(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf") as url, taking(13):
        client = await new_client(endpoint=url, metadata_lookup=False, limits=limits())
        with pytest.raises(ActorError, match="the answer to POST"):
            await client.get_for_id("counter", "id").ping()


async def test_a_server_that_reads_nothing_is_given_up(silent):
    async with taking(11):
        with pytest.raises(ActorError, match="to read POST /gateway/id/request/x"):
            await silent.get_for_id("counter", "id").fetch("x", method="POST", content=LARGE)


async def test_a_wait_that_was_asked_for_is_no_silence(silent):
    async with taking(13 + 600):
        with pytest.raises(ActorError, match=r"client\.timed_out"):
            await silent.get_for_id("counter", "id").send("q", wait=True, timeout=600)


async def test_the_lookup_is_repeated_after_its_own_limit(new_client):
    async with silent_server() as url:
        exchanges = []
        client = await new_client(endpoint=url, limits=limits(), observer=SimpleNamespace(on_exchange=exchanges.append))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(12):
                await client.ready()
        assert [round(one.started - exchanges[0].started, 1) for one in exchanges] == [0, 5.5]


async def test_a_handshake_without_an_answer_is_given_up(silent):
    handle = silent.get_for_id("counter", "id")
    for call in (handle.web_socket, lambda: handle.connect().ready()):
        async with taking(17):
            with pytest.raises(ActorError, match="no answer to the handshake within 17 s") as failed:
                await call()
        assert failed.value.name == "client.connection_open_failed"


async def test_an_opening_without_init_is_given_up(gateway, new_client):
    async def silent(peer):
        while await peer.hear() is not None:
            pass

    gateway.scripts += [silent]
    client = await new_client(limits=limits())
    async with taking(17):
        with pytest.raises(ActorError, match="no Init within 17 s") as failed:
            await client.get_or_create("counter").connect().action("x")
    assert failed.value.name == "client.connection_open_failed"


async def test_a_call_on_a_connection_whose_peer_vanished_is_rejected(vanishing):
    conn = vanishing.get_for_id("counter", "id").connect()
    await conn.ready()
    async with taking(30):
        with pytest.raises(ActorError) as failed:
            await conn.action("x")
    assert failed.value.name == "client.timed_out"
    assert failed.value.metadata == {"awaited": "the answer to a ping", "seconds": 20}


async def test_a_raw_socket_whose_peer_vanished_ends(vanishing):
    socket = await vanishing.get_for_id("counter", "id").web_socket()
    await socket.recv()
    async with taking(30):
        with pytest.raises(SocketClosedError) as closed:
            await socket.recv()
    assert (closed.value.code, closed.value.reason) == (1006, "client.timed_out")
    assert closed.value.__cause__.message == "Timed out after 20 s waiting for the answer to a ping."


async def test_a_message_that_nobody_takes_does_not_hang_its_sender(vanishing):
    socket = await vanishing.get_for_id("counter", "id").web_socket()
    async with taking(30):
        with pytest.raises(Exception, match="no close frame"):
            await socket.send(LARGE)


async def test_closing_does_not_wait_for_a_peer_that_reads_nothing(vanishing):
    socket = await vanishing.get_for_id("counter", "id").web_socket()
    sending = asyncio.create_task(socket.send(LARGE))
    await asyncio.sleep(1)
    async with taking(3):
        await socket.close()
    await asyncio.wait({sending})
    assert socket.close_code == 1006


async def test_disposing_does_not_wait_for_peers_that_vanished(vanishing):
    conns = [vanishing.get_for_id("counter", "id").connect() for _ in range(3)]
    for conn in conns:
        await conn.ready()
        task = asyncio.create_task(conn.action("x", LARGE))
        task.add_done_callback(lambda done: done.exception())
    await asyncio.sleep(1)
    async with taking(3):
        await vanishing.dispose()


async def test_a_program_that_does_not_read_keeps_its_peer(new_client):
    messages = [b"%d" % number for number in range(100)]
    async with vanishing_server(*messages, reads=True) as url:
        client = await new_client(endpoint=url, metadata_lookup=False, limits=limits(ping_interval=10, ping_timeout=20))
        socket = await client.get_for_id("counter", "id").web_socket()
        await asyncio.sleep(100)
        assert [await socket.recv() for _ in range(101)][1:] == messages
        await socket.close()
        assert socket.close_code == 1000


async def test_answered_pings_keep_a_quiet_socket_open(gateway, new_client):
    client = await new_client(limits=limits(ping_interval=10, ping_timeout=20))
    async with client.get_or_create("counter").connect() as conn:
        await asyncio.sleep(200)
        assert await conn.ping() == "ping"
    assert len(gateway.peers) == 1


async def test_too_large_a_message_closes_the_socket(gateway, new_client):
    async def tell(peer):
        await peer.raw(b"x" * 2000)
        await peer.hear()

    gateway.scripts += [tell]
    client = await new_client(limits=limits(message_bytes=1000))
    socket = await client.get_or_create("counter").web_socket()
    with pytest.raises(SocketClosedError):
        await socket.recv()
    await asyncio.sleep(0.1)
    assert gateway.peers[0].closed[0] == 1009


@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_limits_are_positive(value):
    with pytest.raises(ConfigurationError, match="response"):
        Limits(response=value)
    assert Limits(response=None).response is None
