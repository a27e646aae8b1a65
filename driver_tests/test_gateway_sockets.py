"""Suite gateway, WebSockets: failed and negotiated upgrades, routing by sub-protocol, frames that end a connection."""

from __future__ import annotations

from client.transport import Transport
from harness import any_encoding, encodings, requirement, suite
from harness.testing.codecs import new_id

pytestmark = [suite("gateway"), any_encoding]


@requirement("WIRE-005", "WIRE-262", "WIRE-263")
async def test_failed_upgrade_is_closed_with_the_reason(conform):
    """An upgrade to an unknown actor is accepted and closed with 1011 and the error's name."""
    transport = Transport(None)
    try:
        socket = await transport.open(f"{conform.endpoint}/gateway/{new_id()}/connect", ["rivet", "rivet_encoding.json"], {})
        assert await socket.receive() is None
        assert socket.close_code == 1011
        assert socket.close_reason.startswith("actor.not_found#")
    finally:
        await transport.close()


@requirement("WIRE-006", "WIRE-263")
async def test_upgrade_of_a_rest_path(conform):
    """An upgrade to a REST path is accepted and closed."""
    transport = Transport(None)
    try:
        socket = await transport.open(f"{conform.endpoint}/actors", ["rivet"], {})
        assert await socket.receive() is None
        assert socket.close_code == 1011
        assert socket.close_reason.startswith("core.internal_error#")
    finally:
        await transport.close()


@requirement("WIRE-264")
async def test_negotiated_subprotocol(conform):
    """The gateway always answers the sub-protocol `rivet`."""
    socket = await conform.get_or_create("rawWebSocketActor").web_socket("")
    try:
        assert socket.subprotocol == "rivet"
        assert '"welcome"' in str(await socket.recv())
    finally:
        await socket.close()


@requirement("WIRE-242")
async def test_websocket_routing_by_subprotocol(conform):
    """Target and id may travel as sub-protocol entries."""
    actor_id = await conform.get_or_create("rawWebSocketActor").resolve()
    transport = Transport(None)
    try:
        entries = ["rivet", "rivet_target.actor", f"rivet_actor.{actor_id}"]
        socket = await transport.open(f"{conform.endpoint}/websocket/x", entries, {})
        assert '"welcome"' in str(await socket.receive())
        await socket.close()
        lost = await transport.open(f"{conform.endpoint}/websocket/x", ["rivet", "rivet_target.actor"], {})
        assert await lost.receive() is None
        assert lost.close_reason.startswith("guard.missing_header#")
    finally:
        await transport.close()


@requirement("WIRE-501", "CONN-099")
async def test_unknown_websocket_encoding(conform):
    """An unknown connection encoding closes with 1003."""
    actor_id = await conform.get_or_create("counter").resolve()
    transport = Transport(None)
    try:
        socket = await transport.open(f"{conform.endpoint}/gateway/{actor_id}/connect", ["rivet", "rivet_encoding.yaml"], {})
        assert await socket.receive() is None
        assert (socket.close_code, socket.close_reason) == (1003, "actor.unsupported_websocket_encoding")
    finally:
        await transport.close()


@requirement("WIRE-503", "CONN-041")
async def test_undecodable_parameters_on_connect(conform):
    """Parameters that are no JSON close the connection before it is open."""
    actor_id = await conform.get_or_create("counter").resolve()
    transport = Transport(None)
    try:
        entries = ["rivet", "rivet_encoding.json", "rivet_conn_params.%7B"]
        socket = await transport.open(f"{conform.endpoint}/gateway/{actor_id}/connect", entries, {})
        assert await socket.receive() is None
        assert socket.close_code == 1011
        assert socket.close_reason.startswith("guard.websocket_closed_before_open#")
    finally:
        await transport.close()


@requirement("WIRE-531", "CONN-099")
@encodings("json", "cbor", "bare")
async def test_undecodable_frame_closes_the_connection(conform):
    """A frame that is no client message closes with 1011 actor.invalid_request."""
    actor_id = await conform.get_or_create("counter").resolve()
    transport = Transport(None)
    try:
        entries = ["rivet", f"rivet_encoding.{conform.encoding}"]
        socket = await transport.open(f"{conform.endpoint}/gateway/{actor_id}/connect", entries, {})
        assert await socket.receive() is not None
        await socket.send("{" if conform.encoding == "json" else b"\xff\xff\xff")
        assert await socket.receive() is None
        assert (socket.close_code, socket.close_reason) == (1011, "actor.invalid_request")
    finally:
        await transport.close()
    assert await conform.get_or_create("counter").action("getCount") == 0


@requirement("WIRE-529", "CONN-097")
@encodings("json", "cbor", "bare")
async def test_oversized_frame_closes_the_connection(conform):
    """A frame over the incoming limit closes with 1011 message.incoming_too_long."""
    async with conform.connected(conform.get_or_create("largePayloadActor")) as conn:
        errors = []
        conn.on_error(errors.append)
        failure = await conform.settled(conform.spawn(conn.action("echo", "x" * 70_000)))
        assert (failure.group, failure.code) == ("message", "incoming_too_long")


@requirement("WIRE-530", "CONN-098")
@encodings("json", "cbor", "bare")
async def test_oversized_response_on_a_connection(conform, expect_error):
    """A response over the outgoing limit is an error of its call; the connection stays usable."""
    async with conform.connected(conform.get_or_create("largePayloadActor")) as conn:
        async with expect_error("message", "outgoing_too_long"):
            await conn.action("getLargeResponse", 25_000)
        assert await conn.action("echo", 1) == 1
