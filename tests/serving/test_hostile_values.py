"""Values of strangers at every door of a server: answered at once, while somebody else is served as always."""

import asyncio
import base64
import json

import cbor2
import httpx
import pytest
import websockets
from structlog.testing import capture_logs

from runtime import Actor, InProcessServer, Options, Registry, action, create_app
from runtime.protocol.bare import Writer
from runtime.protocol.payload import VERSION_PREFIX
from tests.serving.bystander import bystander

QUERY = "rvt-namespace=default&rvt-method=getOrCreate&rvt-runner=default&rvt-key=k"
PRIME = 2**61 - 1


def shared(levels):
    """Lists that each hold the one before twice."""
    items = [bytes.fromhex("d81c82fb3ff8000000000000fb3ff8000000000000")]
    items += [b"\xd8\x1c\x82" + 2 * (b"\xd8\x1d\x18" + bytes([level])) for level in range(levels)]
    return b"\x98" + bytes([len(items)]) + b"".join(items)


HOSTILE = {
    "shared": shared(30),
    "cycle": bytes.fromhex("d81c82d81d00fb4000000000000001"),
    "pattern": cbor2.dumps([cbor2.CBORTag(27, ["RegExp", "[\x00-\uffff]" * 8_000, "i"])]),
    "python-pattern": cbor2.dumps([cbor2.CBORTag(35, "[\x00-\uffff]" * 8_000)]),
    "decimal": bytes.fromhex("c4821b00000000ffffffff01"),
    "deep": b"\x81" * 60_000 + b"\x00",
    "open": b"\x9f" * 60_000,
    "claims": bytes.fromhex("99ffff") * 20_000,
    "big": cbor2.dumps([10**60_000]),
    "hashes": cbor2.dumps([cbor2.CBORTag(258, [n * PRIME for n in range(1, 5_000)])]),
    "tagged-hashes": cbor2.dumps([["$Set", [["$BigInt", str(n * PRIME)] for n in range(1, 2_000)]]]),
    "tags": b"\x99\x4e\x20" + bytes.fromhex("d84540") * 20_000,
}  # fmt: skip


class Echo(Actor):
    name = "echo"
    options = Options(sleep_timeout=0.2)

    @action
    def length(self, c, *args):
        return len(args)


@pytest.fixture
def app():
    return create_app(Registry(Echo), storage="memory")


@pytest.fixture
async def server(app):
    async with InProcessServer(app) as server:
        yield server


async def test_nobody_waits_for_a_hostile_value(server):
    async with httpx.AsyncClient(base_url=server.url, timeout=10) as http:
        assert (await http.post(f"/gateway/echo/action/length?{QUERY}", content=b'{"args":[]}')).status_code == 200
        with capture_logs() as logs:
            async with bystander(server.url):
                for value in HOSTILE.values():
                    for encoding, body in (("bare", Writer(VERSION_PREFIX).data(value).finish()), ("cbor", b"\xa1\x64args" + value)):
                        for door in ("action/length", "queue/q"):
                            answer = await http.post(f"/gateway/echo/{door}?{QUERY}", headers={"x-rivet-encoding": encoding}, content=body)
                            assert answer.status_code in (200, 400)
                    given = {"name": "echo", "key": "x", "runner_name_selector": "default", "crash_policy": "sleep"}
                    given["input"] = base64.b64encode(value).decode()
                    assert (await http.put("/actors?namespace=default", json=given)).status_code in (200, 400)
                    text = base64.urlsafe_b64encode(value[:12_000]).rstrip(b"=").decode()
                    answer = await http.post(f"/gateway/echo/action/length?{QUERY}2&rvt-input={text}", content=b'{"args":[]}')
                    assert answer.status_code in (200, 400)
                    params = json.dumps(["$Set", [n * PRIME for n in range(1, 300)]])
                    await http.post(f"/gateway/echo/action/length?{QUERY}", headers={"x-rivet-conn-params": params}, content=b"{}")
    assert [entry for entry in logs if entry["log_level"] in ("error", "critical")] == []


@pytest.mark.parametrize("name", ["cycle", "shared", "deep"])
async def test_a_hostile_frame_ends_its_connection_and_the_actor_sleeps(app, server, name):
    given = {"name": "echo", "key": "s", "runner_name_selector": "default", "crash_policy": "sleep"}
    async with httpx.AsyncClient(base_url=server.url, timeout=10) as http:
        actor_id = (await http.put("/actors?namespace=default", json=given)).json()["actor"]["actor_id"]
    address = f"{server.url.replace('http', 'ws')}/gateway/{actor_id}/connect"
    protocols = [websockets.Subprotocol(entry) for entry in ("rivet", "rivet_encoding.bare")]
    async with websockets.connect(address, subprotocols=protocols, compression=None) as socket:
        await socket.recv()
        await socket.send(Writer(VERSION_PREFIX).byte(0).uint(1).str("length").data(HOSTILE[name]).finish())
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), 5)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1011, "actor.invalid_request")
    slot = app.host.slots[actor_id]
    async with asyncio.timeout(5):
        while slot.state != "asleep":  # noqa: ASYNC110 - from outside there is nothing to wait for
            await asyncio.sleep(0.02)
