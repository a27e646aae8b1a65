"""Suite gateway-addressing, targets: requests and sockets that name their actor by headers or entries, and those that do not wait."""

from __future__ import annotations

import pytest

from client.transport import Transport
from driver_tests.addressing import NOT_FOUND, SEE, post, query
from driver_tests.managing import ALONE, created, refused
from harness import any_encoding, requirement, suite
from harness.testing.codecs import new_id
from harness.testing.interpreter import latch, made

pytestmark = [suite("gateway-addressing"), any_encoding]


@requirement("WIRE-003", "WIRE-241", "WIRE-240", "WIRE-002")
async def test_targets_of_a_header(conform):
    """`actor` with a raw path reaches the actor; other paths and other targets have no route; REST is `api-public`."""
    actor_id = await made(conform, onRequest=SEE).resolve()

    async def ask(path, target, method="GET", **headers):
        given = {**ALONE, "x-rivet-target": target, "x-rivet-actor": actor_id, **headers}
        return await conform.http.request(method, path, headers={name: value for name, value in given.items() if value is not None})

    for path, sees in (("/request", "/"), ("/request/", "/"), ("/request/a/b?x=1", "/a/b")):
        response = await ask(path, "actor")
        assert (response.status_code, response.headers["x-rivet-actor"]) == (200, actor_id)
        assert response.json()["path"].partition("?")[0] == sees
    host = conform.http.base_url.host
    others = ["/action/exec", "/requestfoo", "/api/x", "/", "/actors", "/connect"]
    targets = ["nonsense", "Actor", ""]
    for path, target in [*((one, "actor") for one in others), *(("/request/x", one) for one in targets)]:
        text = f"No route found for hostname {host}, path {path}."
        refused(await ask(path, target), 404, "guard.no_route", text, {"host": host, "path": path})
    missing = {"header": "x-rivet-actor"}
    refused(
        await ask("/request/x", "actor", **{"x-rivet-actor": None}), 400, "guard.missing_header", "Missing x-rivet-actor header.", missing
    )
    fault = ("core.internal_error", "An internal error occurred")
    refused(await ask("/request/x", "actor", **{"x-rivet-actor": "x"}), 500, *fault)
    refused(await ask("/request/x", "actor", **{"x-rivet-actor": new_id()}), 404, *NOT_FOUND)
    assert (await ask("/health", "api-public")).json()["status"] == "ok"
    refused(
        await ask("/health", "nonsense"),
        404,
        "guard.no_route",
        f"No route found for hostname {host}, path /health.",
        {"host": host, "path": "/health"},
    )


@requirement("WIRE-002")
async def test_the_order_of_rules(conform):
    """A gateway path is one whatever the target header says."""
    actor_id = (await created(conform))["actor_id"]
    for target in ("api-public", "nonsense", "actor"):
        headers = {"x-rivet-target": target, "x-rivet-actor": new_id()}
        response = await post(conform, f"/gateway/{actor_id}/action/getCount", **headers)
        assert (response.status_code, response.headers["x-rivet-actor"]) == (200, actor_id)
    for path in ("/health/ws", "/health/ws/"):
        response = await conform.http.get(path)
        host = conform.http.base_url.host
        refused(response, 404, "guard.no_route", f"No route found for hostname {host}, path {path}.", {"host": host, "path": path})


@requirement("WIRE-242", "WIRE-262", "WIRE-263")
async def test_targets_of_a_socket(conform):
    """A socket names its actor by path or by entries; headers play no part in upgrades."""
    actor_id = await conform.get_or_create("rawWebSocketActor").resolve()
    transport = Transport(None)

    async def end(path, *entries, **headers):
        socket = await transport.open(conform.endpoint + path, ["rivet", *entries], headers)
        first = await socket.receive()
        if first is not None:
            await socket.close()
            return "open"
        return socket.close_code, socket.close_reason.partition("#")[0]

    escaped = "".join(f"%{ord(letter):02X}" for letter in actor_id)
    by_header = {"x-rivet-target": "actor", "x-rivet-actor": actor_id}
    try:
        assert await end("/websocket/", "rivet_target.actor", f"rivet_actor.{actor_id}") == "open"
        assert await end("/websocket/", "rivet_target.actor", f"rivet_actor.{escaped}") == "open"
        assert await end("/anything", "rivet_actor." + actor_id, "rivet_target.actor") == "open"
        assert await end("/websocket/", **by_header) == (1011, "core.internal_error")
        assert await end("/websocket/", "rivet_target.actor", **by_header) == (1011, "guard.missing_header")
        assert await end("/websocket/", "rivet_target.nonsense", f"rivet_actor.{actor_id}") == (1011, "guard.no_route")
        assert await end("/websocket/", "rivet_target.actor", "rivet_actor.x") == (1011, "core.internal_error")
        assert await end("/websocket/", "rivet_target.actor", f"rivet_actor.{new_id()}") == (1011, "actor.not_found")
        assert await end("/actors", "rivet_target.api-public") == (1011, "core.internal_error")
        assert await end("/gateway/not-an-id/websocket/") == (1011, "core.internal_error")
        assert await end(f"/gateway/counter/connect?{query(conform, bogus='1')}") == (1011, "guard.query_invalid_params")
        assert await end(f"/gateway/counter/connect?{query(conform, method='get')}") == (1011, "actor.not_found")
    finally:
        await transport.close()


@requirement("WIRE-230", "WIRE-212", "WIRE-201")
@pytest.mark.parametrize("form", ["query", "header", "socket"])
async def test_not_to_wait(conform, form):
    """Who asks not to wait is answered by the actor that starts; who does not waits until it has started."""
    actor = made(conform, onWake=[latch("in start")])
    actor_id = await actor.resolve()
    await conform.latch("in start").arrived()
    text, skip = query(conform), "&rvt-skip-ready-wait="
    urls = {
        "query": [(f"/gateway/interpreter/action/exec?{text}{skip}{value}", {}) for value in ("true", "1")],
        "header": [(f"/gateway/{actor_id}/action/exec", {"x-rivet-skip-ready-wait": value}) for value in ("true", "1")],
        "socket": [],
    }[form]
    for url, headers in urls:
        response = await post(conform, url, b'{"args":[[]]}', **headers)
        assert (response.status_code, response.json()["code"]) == (500, "starting")
    if form == "socket":
        async with conform.frames(actor_id, accepted=False, encoding="json", skip_ready_wait=True) as socket:
            code, reason = await socket.wait_closed()
            assert (code, reason.partition("#")[0]) == (1011, "actor.starting")
    patient = {
        "query": [(f"/gateway/interpreter/action/exec?{text}{skip}{value}", {}) for value in ("false", "0")]
        + [(f"/gateway/interpreter/action/exec?{text}", {"x-rivet-skip-ready-wait": "1"})],
        "header": [(f"/gateway/{actor_id}/action/exec", {"x-rivet-skip-ready-wait": value}) for value in ("false", "0")],
        "socket": [(f"/gateway/{actor_id}/action/exec", {})],
    }[form]
    waiting = [conform.spawn(post(conform, url, b'{"args":[[{"op":"return","value":7}]]}', **headers)) for url, headers in patient]
    await conform.latch("in start").release()
    assert [(await one).json() for one in waiting] == [{"output": 7}] * len(patient)


@requirement("WIRE-231")
@pytest.mark.parametrize("value", ["maybe", "True", "2", "yes", ""])
async def test_what_the_header_not_to_wait_may_say(conform, value):
    """Anything but four words is refused, by id; by name the header is not looked at."""
    actor_id = await made(conform).resolve()
    response = await post(conform, f"/gateway/{actor_id}/action/exec", b'{"args":[[]]}', **{"x-rivet-skip-ready-wait": value})
    message = "Invalid x-rivet-skip-ready-wait header: expected true, false, 1, or 0."
    detail = response.json()["metadata"]["detail"]
    refused(response, 400, "guard.invalid_header", message, {"header": "x-rivet-skip-ready-wait", "detail": detail})
    named = f"/gateway/interpreter/action/exec?{query(conform)}"
    response = await post(conform, named, b'{"args":[[{"op":"return","value":7}]]}', **{"x-rivet-skip-ready-wait": value})
    assert response.json() == {"output": 7}
