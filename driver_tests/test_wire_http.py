"""Suite wire-http: requests as bytes, the order of checks, limits of time, hooks of raw requests, CBOR and BARE in detail."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest

from client.transport import error_of
from harness import any_encoding, encodings, requirement, suite, timing, untimed
from harness.testing.codecs import Encoding, Reader, Writer, load_value

pytestmark = [suite("wire-http"), timing]

CUT_OFF = 15.0
"""The grace period of an actor that sets none, in seconds."""


async def raw_exchange(conform, head):
    """Send a request head byte for byte and read until the server closes."""
    address = urlsplit(conform.endpoint)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
        return (await reader.read()).decode("latin-1")
    finally:
        writer.close()


def named(conform, response):
    """Status and name of an actor's error in the test's encoding."""
    return response.status_code, error_of(response, Encoding(conform.encoding)).name


async def post(conform, name, path, content, **headers):
    """POST to an actor of the test, without the client's retries."""
    actor_id = await conform.get_or_create(name).resolve()
    return await conform.http.post(
        f"/gateway/{actor_id}{path}", content=content, headers={"x-rivet-encoding": conform.encoding, **headers}, timeout=120
    )


def bare_request(args):
    """An action request in BARE with these bytes as its arguments."""
    writer = Writer()
    writer.data(args)
    return b"\x04\x00" + writer.finish()


@requirement("WIRE-226")
@any_encoding
@untimed
async def test_fragments_are_cut(conform):
    """What follows `#` reaches no actor, in the direct and in the query form."""
    actor_id = await conform.get_or_create("rawHttpRequestPropertiesActor").resolve()
    host = urlsplit(conform.endpoint).netloc
    answer = await raw_exchange(conform, f"GET /gateway/{actor_id}/request/x#y HTTP/1.1\nhost: {host}\nconnection: close")
    assert answer.startswith("HTTP/1.1 200")
    assert '"pathname":"/x"' in answer.replace(": ", ":")
    assert "#y" not in answer


@requirement("WIRE-251")
@any_encoding
@untimed
async def test_last_of_a_repeated_header_counts(conform):
    """An actor sees one value per header, the last."""
    actor_id = await conform.get_or_create("rawHttpActor").resolve()
    headers = [("x-repeated", "first"), ("x-other", "o"), ("x-repeated", "last")]
    seen = (await conform.http.get(f"/gateway/{actor_id}/request/api/headers", headers=headers)).json()
    assert (seen["x-repeated"], seen["x-other"]) == ("last", "o")


@requirement("WIRE-312", "WIRE-311")
async def test_slow_hook_refuses_the_call(conform, clock):
    """A pre-connect hook over its limit is an error of the call, whose text is masked."""
    actor = conform.get_or_create("beforeConnectTimeoutActor")
    await actor.resolve()
    started = clock.monotonic()
    response = await conform.post_action(actor, "ping")
    clock.took(started, conform.limit(5), 0.1)
    assert named(conform, response) == (500, "actor.callback_timed_out")
    assert error_of(response, Encoding(conform.encoding)).message == "An internal error occurred"


@requirement("WIRE-313")
@encodings("json")
@untimed
async def test_order_of_checks(conform):
    """Method, size, body, parameters, connection, action: the first fault is the one reported."""
    name = "beforeConnectRejectActor"
    large, broken, good = b"{" + b"x" * 70_000, b"{", b'{"args":[]}'
    bad_params, rejected = {"x-rivet-conn-params": "{"}, {"x-rivet-conn-params": '{"shouldReject":true}'}
    actor_id = await conform.get_or_create(name).resolve()
    wrong = await conform.http.put(f"/gateway/{actor_id}/action/nothing", content=large, headers=bad_params)
    assert named(conform, wrong) == (405, "actor.method_not_allowed")
    assert named(conform, await post(conform, name, "/action/nothing", large, **bad_params)) == (400, "message.incoming_too_long")
    assert named(conform, await post(conform, name, "/action/nothing", broken, **rejected)) == (400, "core.internal_error")
    assert named(conform, await post(conform, name, "/action/nothing", good, **bad_params)) == (400, "core.internal_error")
    refused = await post(conform, name, "/action/nothing", good, **rejected)
    assert named(conform, refused)[1] == "user.connection_rejected"
    assert named(conform, await post(conform, name, "/action/nothing", good)) == (404, "actor.action_not_found")


@requirement("WIRE-336")
@encodings("json")
@pytest.mark.timeout(90)
async def test_waiting_send_over_the_time_limit(conform, clock):
    """A send that waits for its completion ends with 408 at the actor's limit, the default here; the message stays."""
    started = clock.monotonic()
    response = await post(conform, "queueActor", "/queue/greeting", b'{"body":1,"wait":true,"timeout":100000}')
    assert named(conform, response) == (408, "actor.action_timed_out")
    clock.took(started, least=59.5, most=conform.limit(64))
    assert (await conform.get_or_create("queueActor").action("receiveOne", "greeting", {"timeout": 0}))["body"] == 1


@requirement("WIRE-337", "ACCESS-004")
@untimed
async def test_sends_are_guarded_like_actions(conform, expect_error):
    """A send has hooks, limits and error bodies of an action; errors of the queue are 400."""
    send = "/queue/allowedQueue"
    content = {
        "json": b'{"body":1}', "cbor": b"\xa1\x64body\x01", "bare": b"\x04\x00\x01\x01\x00\x00\x00",
    }[conform.encoding]  # fmt: skip
    refused = await post(conform, "accessControlActor", send, content, **{"x-rivet-conn-params": '{"allowRequest":false}'})
    assert named(conform, refused) == (403, "auth.forbidden")
    assert (await post(conform, "accessControlActor", send, content)).status_code == 200
    large = await post(conform, "accessControlActor", send, content + b" " * 65_536)
    assert named(conform, large) == (400, "message.incoming_too_long")
    kind = "application/json" if conform.encoding == "json" else "application/octet-stream"
    assert large.headers["content-type"].startswith(kind)
    assert (await post(conform, "queueLimitedActor", "/queue/message", content)).status_code == 200
    assert named(conform, await post(conform, "queueLimitedActor", "/queue/message", content)) == (400, "queue.full")


@requirement("WIRE-346")
@untimed
async def test_raw_requests_have_a_connection(conform):
    """Hooks decide about raw requests too; parameters that are no JSON are an internal error of the actor."""
    actor_id = await conform.get_or_create("accessControlActor").resolve()
    url = f"/gateway/{actor_id}/request/status"

    async def get(params):
        headers = {"x-rivet-encoding": conform.encoding} | ({} if params is None else {"x-rivet-conn-params": params})
        return await conform.http.get(url, headers=headers)

    assert (await get(None)).json() == {"ok": True}
    assert (await get('{"allowRequest":true}')).status_code == 200
    assert named(conform, await get('{"allowRequest":false}')) == (403, "auth.forbidden")
    assert named(conform, await get("{")) == (500, "rivetkit.internal_error")


@requirement("WIRE-210")
@encodings("json")
async def test_call_is_dropped_at_the_end_of_grace(conform, eventually, clock):
    """An action that outlasts grace is answered then, with a masked error, and is not run again."""
    actor = conform.get_or_create("sleepWithLongRpc")
    actor_id = await actor.resolve()
    async with conform.connected(actor) as watcher:
        waiting = []
        watcher.on("waiting", lambda *args: waiting.append(args))
        await watcher.action("getCounts")
        pending = conform.spawn(post(conform, "sleepWithLongRpc", "/action/longRunningRpc", b"{}"))
        await eventually(lambda: waiting, until=bool, what="the action's start")
        started = clock.monotonic()
        await conform.rest.sleep_actor(actor_id)
        response = await pending
        clock.took(started, least=CUT_OFF - 1, most=conform.limit(CUT_OFF + 5))
        assert named(conform, response) == (500, "actor.dropped_reply")
        assert response.json()["message"] == "An internal error occurred"
        woken = conform.get_or_create("sleepWithLongRpc")
        counts = await eventually(
            lambda: woken.action("getCounts"), until=lambda found: found["startCount"] == 2, what="the next generation"
        )
        assert counts["startCount"] == 2
        assert len(waiting) == 1


FORMS = {
    "map-16-bit": b"\xb9\x00\x01\x61a\x01",
    "map-short": b"\xa1\x61a\x01",
    "map-indefinite": b"\xbf\x61a\x01\xff",
    "list-indefinite": b"\x9f\x01\x02\xff",
    "integers": b"\x84\x17\x18\x18\x1a\xff\xff\xff\xff\x3a\xff\xff\xff\xff",
    "floats": b"\x82\xfb\x3f\xf8\x00\x00\x00\x00\x00\x00\xfb\x42\x70\x00\x00\x00\x00\x00\x00",
    "infinity": b"\xfb\x7f\xf0\x00\x00\x00\x00\x00\x00",
    "big": b"\x1b\x7f\xff\xff\xff\xff\xff\xff\xff",
    "bigger": b"\xc2\x49\x01\x00\x00\x00\x00\x00\x00\x00\x00",
    "date-integer": b"\xc1\x1a\x5f\x5e\x10\x00",
    "date-float": b"\xc1\xfb\x41\xd7\xd7\x84\x00\x20\x00\x00",
    "map": b"\xd9\x01\x03\xa1\x01\x02",
    "set": b"\xd9\x01\x02\x82\x01\x02",
    "bytes": b"\xd8\x40\x43\x01\x02\x03",
    "floats-32": b"\xd8\x55\x48\x00\x00\x80\x3f\x00\x00\x00\x40",
}


@requirement("WIRE-403", "WIRE-405")
@untimed
@encodings("bare")
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
async def test_cbor_forms_of_the_client(conform, form):
    """Every form the client writes is read, and written back as the same value."""
    response = await post(conform, "largePayloadActor", "/action/echo", bare_request(b"\x81" + form))
    assert response.status_code == 200, response.content
    output = Reader(response.content[2:]).data()
    assert repr(load_value(output)) == repr(load_value(form))


@requirement("WIRE-404")
@untimed
@encodings("cbor")
@pytest.mark.parametrize(
    "sent",
    [b"\x17", b"\x19\x01\x00", b"\x1a\xff\xff\xff\xff", b"\xfb\x42\x70\x00\x00\x00\x00\x00\x00"],
    ids=["small", "two-bytes", "four-bytes", "beyond"],
)
async def test_plain_numbers_stay_plain(conform, sent):
    """A number of the caller never comes back in the eight-byte form, which a JS client takes for a big integer."""
    response = await post(conform, "largePayloadActor", "/action/echo", b"\xa1\x64args\x81" + sent)
    assert response.status_code == 200
    output = response.content.partition(b"output")[2]
    assert load_value(output) == load_value(sent)
    shortest, floats = sent[:1], (b"\xf9", b"\xfa", b"\xfb")
    assert output[:1] in (shortest, *floats)


@requirement("WIRE-413")
@untimed
@encodings("bare")
async def test_bytes_after_a_message(conform):
    """What follows a complete request is ignored; nothing follows a response."""
    for surplus in (b"", b"\x00", b"surplus"):
        response = await post(conform, "largePayloadActor", "/action/echo", bare_request(b"\x81\x05") + surplus)
        assert (response.status_code, response.content) == (200, b"\x04\x00\x01\x05")
    failed = await post(conform, "largePayloadActor", "/action/nothing", bare_request(b"\x80"))
    assert failed.status_code == 404
    reader = Reader(failed.content[2:])
    assert [reader.str(), reader.str(), reader.str()] == ["actor", "action_not_found", "Action `nothing` was not found."]
