"""Suite gateway: routing by path, query, header and sub-protocol; CORS; malformed requests; body limits."""

from __future__ import annotations

import base64

import pytest

from harness import any_encoding, encodings, requirement, suite
from harness.testing.codecs import encode_input, new_id, query_path

pytestmark = [suite("gateway"), any_encoding]

BODY = b'{"args":[]}'


def query_url(conform, name="counter", path="/action/getCount", method="getOrCreate", key=None, **options):
    """The query form of a gateway URL for the test's own key."""
    return query_path(
        name, namespace=conform.namespace, method=method, key=conform.key if key is None else key, path=path, pool=conform.pool, **options
    )


async def post(conform, url, content=BODY, **headers):
    """POST with JSON encoding."""
    return await conform.http.post(url, content=content, headers={"x-rivet-encoding": "json", **headers})


def check_error(response, status, name):
    """The response is that structured JSON error; returns its body."""
    assert response.status_code == status, response.text
    body = response.json()
    assert f"{body['group']}.{body['code']}" == name, body
    return body


@requirement("WIRE-224", "WIRE-310")
async def test_direct_path(conform):
    """`/gateway/<id>/action/<name>` reaches the actor."""
    actor_id = await conform.get_or_create("counter").resolve()
    response = await post(conform, f"/gateway/{actor_id}/action/increment", b'{"args":[5]}')
    assert response.status_code == 200
    assert response.json() == {"output": 5}
    assert response.headers["content-type"].startswith("application/json")


@requirement("WIRE-029", "WIRE-222")
async def test_direct_path_with_a_token(conform):
    """A token in the path is parsed and otherwise ignored."""
    actor_id = await conform.get_or_create("counter").resolve()
    response = await post(conform, f"/gateway/{actor_id}@some%20token/action/getCount")
    assert response.json() == {"output": 0}


@requirement("WIRE-151")
async def test_ids_are_case_insensitive(conform):
    """An id in upper case names the same actor."""
    actor_id = await conform.get_or_create("counter").resolve()
    assert (await post(conform, f"/gateway/{actor_id.upper()}/action/getCount")).json() == {"output": 0}


@requirement("WIRE-222")
@pytest.mark.parametrize("path", ["/gateway", "/gateway/", "/gateway/@token/action/x"])
async def test_path_without_an_id_is_not_routed(conform, path):
    """Missing ids are answered by the REST API."""
    check_error(await post(conform, path), 404, "api.not_found")


@requirement("WIRE-222")
async def test_empty_token_is_not_routed(conform):
    """`<id>@` without a token is no gateway path."""
    actor_id = await conform.get_or_create("counter").resolve()
    check_error(await post(conform, f"/gateway/{actor_id}@/action/getCount"), 404, "api.not_found")


@requirement("WIRE-221")
async def test_double_slash_is_not_routed(conform):
    """A path with `//` reaches no actor."""
    actor_id = await conform.get_or_create("counter").resolve()
    check_error(await post(conform, f"/gateway/{actor_id}//action/getCount"), 404, "api.not_found")


@requirement("WIRE-223")
async def test_malformed_id_is_an_internal_error(conform):
    """A direct path with a malformed id is a 500."""
    body = check_error(await post(conform, "/gateway/not-an-id/action/getCount"), 500, "core.internal_error")
    assert body["message"] == "An internal error occurred"


@requirement("WIRE-208")
async def test_unknown_id_is_not_found(conform):
    """A well-formed id nobody has is actor.not_found."""
    body = check_error(await post(conform, f"/gateway/{new_id()}/action/getCount"), 404, "actor.not_found")
    assert body["message"] == "The actor does not exist or was destroyed."


@requirement("WIRE-220", "WIRE-228")
@encodings("json", "cbor", "bare")
async def test_query_path_creates_and_finds(conform):
    """The query form creates on getOrCreate and finds on get."""
    response = await post(conform, query_url(conform, path="/action/increment"), b'{"args":[2]}')
    assert response.json() == {"output": 2}
    found = await post(conform, query_url(conform, method="get"))
    assert found.json() == {"output": 2}
    assert await conform.get("counter").action("getCount") == 2


@requirement("WIRE-228")
async def test_query_get_of_a_missing_key(conform):
    """`get` of a key nobody holds is actor.not_found."""
    check_error(await post(conform, query_url(conform, method="get", key=conform.unique_key())), 404, "actor.not_found")


@requirement("WIRE-225")
async def test_foreign_query_parameters_are_kept(conform):
    """Parameters other than `rvt-*` reach the actor byte for byte and in order."""
    url = query_url(conform, "rawHttpRequestPropertiesActor", "/request/x?b=1%20x&a=+&a=%2F")
    seen = (await conform.http.get(url)).json()
    assert seen["search"] == "?b=1%20x&a=+&a=%2F"
    assert seen["pathname"] == "/x"


@requirement("WIRE-225")
async def test_no_question_mark_when_nothing_is_left(conform):
    """Without other parameters the actor sees no query."""
    seen = (await conform.http.get(query_url(conform, "rawHttpRequestPropertiesActor", "/request/x"))).json()
    assert seen["search"] == ""


@requirement("WIRE-227")
async def test_query_values_are_form_decoded(conform):
    """`+` is a space in gateway parameters."""
    key = f"{conform.key[0]} x"
    query = f"rvt-namespace={conform.namespace}&rvt-method=getOrCreate&rvt-pool={conform.pool}&rvt-key={key.replace(' ', '+')}"
    url = f"/gateway/counter/action/getKey?{query}"
    assert (await post(conform, url)).json() == {"output": [key]}


@requirement("WIRE-228", "WIRE-170")
async def test_input_in_the_query(conform):
    """Creation input travels as unpadded base64url of CBOR."""
    url = query_url(conform, "inputActor", "/action/getInputs", input_cbor=encode_input({"x": [1, 2]}))
    assert (await post(conform, url)).json()["output"]["initialInput"] == {"x": [1, 2]}


def _faulty(conform, drop=(), **members):
    params = {"rvt-namespace": conform.namespace, "rvt-method": "getOrCreate", "rvt-pool": conform.pool, "rvt-key": "k", **members}
    return "&".join(f"{name}={value}" for name, value in params.items() if name not in drop)


@requirement("WIRE-229")
@pytest.mark.parametrize(
    ("drop", "members", "code", "detail"),
    [
        (("rvt-namespace",), {}, "query_invalid_params", "missing field `namespace`"),
        (("rvt-method",), {}, "query_invalid_params", "missing field `method`"),
        ((), {"rvt-method": "create"}, "query_invalid_params", "unknown method: create, expected get or getOrCreate"),
        ((), {"rvt-crash-policy": "x"}, "query_invalid_params", "unknown crash policy: x, expected restart, sleep, or destroy"),
        ((), {"rvt-bogus": "1"}, "query_invalid_params", None),
        ((), {"rvt-skip-ready-wait": "maybe"}, "query_invalid_params", None),
        (("rvt-pool",), {}, "query_missing_pool", None),
        ((), {"rvt-method": "get", "rvt-input": "oA"}, "query_get_disallowed_params", None),
        ((), {"rvt-input": "!!!"}, "query_invalid_base64_input", None),
        ((), {"rvt-input": base64.urlsafe_b64encode(b"\xff\xff").rstrip(b"=").decode()}, "query_invalid_cbor_input", None),
        ((), {"rvt-key": "%ff"}, "query_invalid_percent_encoding", None),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
async def test_query_faults(conform, drop, members, code, detail):
    """Each fault of the query form has its own structured error."""
    body = check_error(await post(conform, f"/gateway/counter/action/getCount?{_faulty(conform, drop, **members)}"), 400, f"guard.{code}")
    if detail is not None:
        assert body["metadata"] == {"detail": detail}


@requirement("WIRE-229")
@pytest.mark.parametrize("key", ["%zz", "a%2"])
async def test_broken_escapes_stay_as_they_are(conform, key):
    """An escape without two hex digits is no fault; the key contains its characters."""
    response = await post(conform, f"/gateway/counter/action/increment?{_faulty(conform, **{'rvt-key': key})}", b'{"args":[1]}')
    assert response.status_code == 200
    listed = await conform.http.get("/actors", params={"namespace": conform.namespace, "name": "counter", "key": key})
    assert [actor["key"] for actor in listed.json()["actors"]] == [key]


@requirement("WIRE-229")
async def test_query_fault_names(conform):
    """A token in the name, and the same parameter twice, are refused."""
    query = _faulty(conform)
    check_error(await post(conform, f"/gateway/counter@t/action/getCount?{query}"), 400, "guard.query_path_token_syntax")
    body = check_error(await post(conform, f"/gateway/counter/action/getCount?{query}&rvt-key=z"), 400, "guard.query_duplicate_param")
    assert body["metadata"] == {"name": "rvt-key"}


@requirement("WIRE-023", "WIRE-229")
async def test_query_with_an_unknown_namespace(conform):
    """An unknown namespace in the query form is namespace.not_found."""
    url = f"/gateway/counter/action/getCount?{_faulty(conform, **{'rvt-namespace': 'no-such-namespace'})}"
    check_error(await post(conform, url), 400, "namespace.not_found")


@requirement("WIRE-240")
async def test_header_routing(conform):
    """`x-rivet-target: actor` routes raw requests by header."""
    actor_id = await conform.get_or_create("rawHttpActor").resolve()
    response = await conform.http.get("/request/api/hello", headers={"x-rivet-target": "actor", "x-rivet-actor": actor_id})
    assert response.json() == {"message": "Hello from actor!"}


@requirement("WIRE-240")
async def test_header_routing_needs_the_id(conform):
    """Without the id header the request is refused."""
    response = await conform.http.get("/request/x", headers={"x-rivet-target": "actor"})
    body = check_error(response, 400, "guard.missing_header")
    assert body["message"] == "Missing x-rivet-actor header."


@requirement("WIRE-003", "WIRE-241")
async def test_header_routing_of_other_paths(conform):
    """Only raw requests are routable by header; unknown targets have no route."""
    actor_id = await conform.get_or_create("counter").resolve()
    for path, target in (("/action/getCount", "actor"), ("/requestfoo", "actor"), ("/request/x", "nonsense")):
        response = await conform.http.get(path, headers={"x-rivet-target": target, "x-rivet-actor": actor_id})
        body = check_error(response, 404, "guard.no_route")
        assert body["metadata"]["path"] == path


@requirement("WIRE-231")
@encodings("json", "cbor", "bare")
async def test_skip_ready_wait_header_is_checked(conform):
    """A header value outside the four is refused."""
    actor = conform.get_or_create("counter")
    await actor.action("getCount")
    actor_id = await actor.resolve()
    response = await post(conform, f"/gateway/{actor_id}/action/getCount", **{"x-rivet-skip-ready-wait": "maybe"})
    body = check_error(response, 400, "guard.invalid_header")
    assert body["message"] == "Invalid x-rivet-skip-ready-wait header: expected true, false, 1, or 0."
    good = await post(conform, f"/gateway/{actor_id}/action/getCount", **{"x-rivet-skip-ready-wait": "1"})
    assert good.status_code == 200


@requirement("WIRE-260")
async def test_preflight_is_answered_by_the_gateway(conform):
    """OPTIONS on a gateway path is 204 with CORS headers, and needs no actor."""
    response = await conform.http.options(
        f"/gateway/{new_id()}/request/x", headers={"origin": "https://a.example", "access-control-request-headers": "x-a, x-b"}
    )
    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == "https://a.example"
    assert response.headers["access-control-allow-credentials"] == "true"
    assert response.headers["access-control-allow-headers"] == "x-a, x-b"
    assert response.headers["access-control-max-age"] == "86400"


@requirement("WIRE-261")
async def test_responses_carry_cors_headers(conform):
    """Answers and errors alike allow the caller's origin."""
    actor_id = await conform.get_or_create("counter").resolve()
    for target, status in ((actor_id, 200), (new_id(), 404)):
        response = await post(conform, f"/gateway/{target}/action/getCount", origin="https://b.example")
        assert response.status_code == status
        assert response.headers["access-control-allow-origin"] == "https://b.example"
        assert response.headers["access-control-expose-headers"] == "*"


@requirement("WIRE-250")
async def test_request_headers_reach_the_actor(conform):
    """Headers arrive in lower case, authorization and cookies included."""
    url = query_url(conform, "rawHttpActor", "/request/api/headers")
    headers = {"X-Custom": "value", "Authorization": "Bearer x", "Cookie": "a=b"}
    seen = (await conform.http.get(url, headers=headers)).json()
    assert (seen["x-custom"], seen["authorization"], seen["cookie"]) == ("value", "Bearer x", "a=b")
    assert "host" in seen


@requirement("WIRE-252", "RAWHTTP-016")
async def test_oversized_body_is_refused(conform):
    """A body over 20 MiB is refused by the gateway, which keeps serving."""
    actor_id = await conform.get_or_create("rawHttpActor").resolve()
    response = await conform.http.post(f"/gateway/{actor_id}/request/api/echo", content=b"x" * (20 * 1024 * 1024 + 1))
    check_error(response, 413, "guard.invalid_request_body")
    assert (await conform.http.get(f"/gateway/{actor_id}/request/api/hello")).status_code == 200


@requirement("WIRE-314")
async def test_oversized_action_body_is_refused(conform):
    """A body over the incoming limit is refused before any hook runs; exactly the limit passes."""
    actor_id = await conform.get_or_create("largePayloadActor").resolve()
    frame = b'{"args":[""]}'
    fits = b'{"args":["' + b"x" * (65_536 - len(frame)) + b'"]}'
    assert (await post(conform, f"/gateway/{actor_id}/action/echo", fits)).status_code == 200
    body = check_error(await post(conform, f"/gateway/{actor_id}/action/echo", fits + b" "), 400, "message.incoming_too_long")
    assert body["message"] == "Incoming message too long"


@requirement("WIRE-319")
async def test_oversized_response_is_an_error(conform):
    """A response over the outgoing limit is replaced by an error."""
    actor_id = await conform.get_or_create("largePayloadActor").resolve()
    body = check_error(
        await post(conform, f"/gateway/{actor_id}/action/getLargeResponse", b'{"args":[25000]}'), 400, "message.outgoing_too_long"
    )
    assert body["message"] == "Outgoing message too long"


@requirement("WIRE-315")
@encodings("json", "cbor", "bare")
@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"nonsense"], ids=["empty", "truncated", "binary", "text"])
async def test_undecodable_action_body(conform, content):
    """An undecodable body is 400 core.internal_error, and the actor keeps serving."""
    actor = conform.get_or_create("counter")
    await actor.resolve()
    response = await conform.post_action(actor, "getCount", content=content)
    assert response.status_code == 400
    assert await actor.action("getCount") == 0


@requirement("WIRE-412")
@encodings("bare")
@pytest.mark.parametrize(
    "content", [b"\x09\x00\x01\x80", b"\x04", b"\x04\x00\x7f", b"\x00\x00\x01\x80"], ids=["new", "short", "cut", "zero"]
)
async def test_malformed_bare_body(conform, content):
    """Unsupported versions and short structs are undecodable."""
    actor = conform.get_or_create("counter")
    response = await conform.post_action(actor, "getCount", content=content)
    assert response.status_code == 400


@requirement("WIRE-411")
@encodings("bare")
@pytest.mark.parametrize("version", [1, 2, 3, 4])
async def test_older_bare_versions_are_understood(conform, version):
    """Every protocol version is decoded, and answered in version 4."""
    actor = conform.get_or_create("counter")
    response = await conform.post_action(actor, "getCount", content=version.to_bytes(2, "little") + b"\x01\x80")
    assert response.status_code == 200
    assert response.content[:2] == b"\x04\x00"


@requirement("WIRE-304", "WIRE-305")
async def test_unknown_encoding_means_json(conform):
    """An unknown or absent encoding header means json."""
    actor_id = await conform.get_or_create("counter").resolve()
    for headers in ({}, {"x-rivet-encoding": "yaml"}):
        response = await conform.http.post(f"/gateway/{actor_id}/action/getCount", content=BODY, headers=headers)
        assert response.json() == {"output": 0}


@requirement("WIRE-316")
@pytest.mark.parametrize(
    ("content", "output"), [(b'{"args":[3]}', 3), (b'{"args":3}', 3), (b'{"args":[3,4]}', 3)], ids=["list", "single", "surplus"]
)
async def test_argument_forms(conform, content, output):
    """A list is the argument list, any other value one argument."""
    actor_id = await conform.get_or_create("counter").resolve()
    assert (await post(conform, f"/gateway/{actor_id}/action/increment", content)).json() == {"output": output}


@requirement("WIRE-316")
@pytest.mark.parametrize("content", [b"{}", b'{"args":null}', b"[]"], ids=["missing", "null", "list"])
async def test_absent_arguments(conform, content):
    """Missing and null arguments, and a top-level list, mean no arguments."""
    actor_id = await conform.get_or_create("counter").resolve()
    assert (await post(conform, f"/gateway/{actor_id}/action/getCount", content)).json() == {"output": 0}


@requirement("WIRE-255")
async def test_invalid_escape_in_an_action_name(conform):
    """A broken percent escape cannot be dispatched."""
    actor_id = await conform.get_or_create("counter").resolve()
    response = await post(conform, f"/gateway/{actor_id}/action/%zz")
    assert response.status_code == 500


@requirement("WIRE-401")
@encodings("json", "cbor", "bare")
async def test_unknown_value_tag_in_arguments(conform):
    """A reserved tag that does not exist fails the call, not the actor."""
    actor = conform.get_or_create("largePayloadActor")
    await actor.resolve()
    response = await conform.post_action(actor, "echo", encoding="json", content=b'{"args":[["$Nonsense",1]]}')
    assert response.status_code >= 400
    assert await actor.action("echo", 1) == 1


@requirement("WIRE-306")
async def test_undecodable_connection_parameters(conform):
    """Parameters that are no JSON refuse the call."""
    actor_id = await conform.get_or_create("counter").resolve()
    response = await post(conform, f"/gateway/{actor_id}/action/getCount", **{"x-rivet-conn-params": "{"})
    check_error(response, 400, "core.internal_error")
