"""Suite raw-http: requests that the actor answers itself."""

from __future__ import annotations

import pytest

from harness import any_encoding, depends_on, encodings, requirement, suite

pytestmark = [suite("raw-http"), any_encoding, depends_on("raw-http::test_json_answer")]


async def request(conform, method, target, **options):
    """A raw request through the gateway, without the client's retries."""
    actor_id = await conform.get_or_create(options.pop("actor", "rawHttpActor")).resolve()
    return await conform.http.request(method, f"/gateway/{actor_id}{target}", **options)


@requirement("RAWHTTP-001", "WIRE-340")
async def test_json_answer(conform):
    """A handler's JSON answer passes unchanged."""
    response = await conform.get_or_create("rawHttpActor").fetch("api/hello")
    assert (response.status_code, response.json()) == (200, {"message": "Hello from actor!"})
    assert response.headers["content-type"].startswith("application/json")


@requirement("RAWHTTP-008", "WIRE-916")
@pytest.mark.parametrize("path", ["api/hello", "/api/hello"])
async def test_leading_slash_makes_no_difference(conform, path):
    """The client drops one leading slash."""
    assert (await conform.get_or_create("rawHttpActor").fetch(path)).status_code == 200


@requirement("RAWHTTP-004", "WIRE-344")
@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b'{"a":1}', "application/json"),
        (b"plain", "text/plain"),
        (b"a=1&b=%20", "application/x-www-form-urlencoded"),
        (bytes(range(256)), "application/octet-stream"),
        (b"", "text/plain"),
    ],
    ids=["json", "text", "form", "binary", "empty"],
)
async def test_bodies_pass_byte_exact(conform, content, kind):
    """Any body comes back byte for byte with its content type."""
    response = await conform.get_or_create("rawHttpActor").fetch(
        "api/echo", method="POST", content=content, headers={"content-type": kind, "x-mark": "m"}
    )
    assert (response.status_code, response.content) == (200, content)
    assert response.headers["content-type"].startswith(kind)
    assert response.headers["x-mark"] == "m"


@requirement("RAWHTTP-014")
async def test_requests_share_the_actor_state(conform):
    """Each request counts in the actor's state."""
    actor = conform.get_or_create("rawHttpActor")
    await actor.fetch("api/hello")
    await actor.fetch("api/hello")
    assert (await actor.fetch("api/state")).json() == {"requestCount": 3}


@requirement("RAWHTTP-006")
@encodings("json", "cbor", "bare")
async def test_not_found_of_the_handler(conform):
    """A handler's own 404 passes with its text."""
    response = await conform.get_or_create("rawHttpActor").fetch("nope")
    assert (response.status_code, response.text) == (404, "Not Found")


@requirement("RAWHTTP-010", "WIRE-343", "CONN-004")
@encodings("json", "cbor", "bare")
async def test_actor_without_a_handler(conform):
    """Without a handler the answer is an empty 404."""
    response = await conform.get_or_create("rawHttpNoHandlerActor").fetch("anything")
    assert (response.status_code, response.content) == (404, b"")


@requirement("RAWHTTP-011", "WIRE-345")
async def test_handler_that_returns_nothing(conform):
    """Something that is no response is a masked internal error."""
    response = await request(conform, "GET", "/request/x", actor="rawHttpVoidReturnActor")
    assert response.status_code == 500
    body = response.json()
    assert (body["group"], body["code"], body["message"]) == ("rivetkit", "internal_error", "An internal error occurred")
    assert "actorId" in body["actor"]


@requirement("RAWHTTP-006", "WIRE-254")
async def test_answer_names_the_actor(conform):
    """The runtime adds the actor's headers."""
    response = await request(conform, "GET", "/request/api/hello")
    assert response.headers["x-rivet-actor"] == await conform.get_or_create("rawHttpActor").resolve()
    assert "content-length" in response.headers


@requirement("RAWHTTP-003", "WIRE-342")
async def test_head_has_no_body(conform):
    """HEAD is delivered and answered without a body."""
    response = await request(conform, "HEAD", "/request/api/hello")
    assert (response.status_code, response.content) == (200, b"")


@requirement("RAWHTTP-003", "WIRE-260")
async def test_options_is_not_delivered(conform):
    """OPTIONS is answered by the gateway and does not count as a request."""
    assert (await request(conform, "OPTIONS", "/request/api/hello")).status_code == 204
    assert (await conform.get_or_create("rawHttpActor").fetch("api/state")).json() == {"requestCount": 1}


@requirement("RAWHTTP-001")
async def test_prefix_must_be_a_segment(conform):
    """`/requestfoo` is no raw request."""
    response = await request(conform, "GET", "/requestfoo")
    assert response.status_code == 404
    assert response.json()["code"] == "not_found"


@requirement("RAWHTTP-014", "TASK-020")
@encodings("json", "cbor", "bare")
async def test_requests_run_concurrently(conform, eventually):
    """Overlapping requests do not queue behind each other: the last one has begun before the first one is answered."""
    actor = conform.get_or_create("sleepWithRawHttp")
    await actor.action("getCounts")
    duration = int(conform.limit(2) * 1000)
    pending = [conform.spawn(actor.fetch(f"long-request?duration={duration}")) for _ in range(4)]
    await eventually(lambda: actor.action("getCounts"), until=lambda found: found["requestCount"] == 4, what="four requests", timeout=12)
    assert not any(request.done() for request in pending)
    assert [(await request).json() for request in pending] == [{"completed": True}] * 4


HONO = [
    ("GET", "/", None, 200, {"message": "Welcome to Hono actor!"}),
    ("GET", "/users", None, 200, [{"id": 1, "name": "Alice"}, {"id": 2, "name": "Bob"}]),
    ("GET", "/users/1", None, 200, {"id": 1, "name": "Alice"}),
    ("GET", "/users/2", None, 200, {"id": 2, "name": "Bob"}),
    ("POST", "/users", {"name": "Carol"}, 201, {"id": 3, "name": "Carol"}),
    ("PUT", "/users/7", {"name": "Dave"}, 200, {"id": 7, "name": "Dave"}),
    ("DELETE", "/users/7", None, 200, {"message": "User 7 deleted"}),
]


@requirement("RAWHTTP-001", "RAWHTTP-002")
@pytest.mark.parametrize(("method", "path", "body", "status", "answer"), HONO, ids=[f"{row[0]}-{row[1][1:] or 'root'}" for row in HONO])
async def test_router_in_the_handler(conform, method, path, body, status, answer):
    """A router inside the actor sees method, path and body."""
    response = await conform.get_or_create("rawHttpHonoActor").fetch(path, method=method, json=body)
    assert (response.status_code, response.json()) == (status, answer)


async def seen(conform, method, target, **options):
    """What the handler saw of a request."""
    return (await request(conform, method, target, actor="rawHttpRequestPropertiesActor", **options)).json()


@requirement("RAWHTTP-002", "WIRE-340")
async def test_url_of_the_request(conform):
    """Path and query arrive without the prefix, escapes untouched."""
    found = await seen(conform, "GET", "/request/a%20b/%2F?x=1&y=%C3%A9")
    assert found["pathname"] == "/a%20b/%2F"
    assert found["search"] == "?x=1&y=%C3%A9"
    assert found["searchParams"] == {"x": "1", "y": "é"}
    assert found["hash"] == ""
    assert found["method"] == "GET"


@requirement("RAWHTTP-001", "WIRE-340")
@pytest.mark.parametrize("target", ["/request", "/request/"])
async def test_root_of_raw_requests(conform, target):
    """Both forms of the root are `/`."""
    assert (await seen(conform, "GET", target))["pathname"] == "/"


@requirement("RAWHTTP-005")
async def test_queries_pass_unchanged(conform):
    """Repeated keys, brackets and long values survive."""
    long = "v" * 1500
    found = await seen(conform, "GET", f"/request/q?a=1&a=2&b[]=3&long={long}")
    assert found["search"] == f"?a=1&a=2&b[]=3&long={long}"
    assert found["searchParams"]["a"] == "2"


@requirement("RAWHTTP-003", "RAWHTTP-002")
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_methods_and_json_bodies(conform, method):
    """Every method is delivered with its body."""
    found = await seen(conform, method, "/request/x", json={"a": [1, None]})
    assert (found["method"], found["body"], found["bodyText"]) == (method, {"a": [1, None]}, None)


@requirement("WIRE-348", "RAWHTTP-002")
async def test_absent_body(conform):
    """A request without a body has none."""
    for method in ("GET", "DELETE"):
        found = await seen(conform, method, "/request/x")
        assert (found["body"], found["bodyText"]) == (None, None)


@requirement("RAWHTTP-004")
async def test_text_bodies(conform):
    """A body of another type is text; a malformed JSON body is none."""
    text = await seen(conform, "POST", "/request/x", content=b"plain", headers={"content-type": "text/plain"})
    assert (text["body"], text["bodyText"]) == ("plain", "plain")
    broken = await seen(conform, "POST", "/request/x", content=b"{", headers={"content-type": "application/json"})
    assert (broken["body"], broken["bodyText"]) == (None, "")


@requirement("RAWHTTP-002", "WIRE-250")
async def test_headers_of_the_request(conform):
    """Header names arrive in lower case with their values."""
    found = await seen(conform, "GET", "/request/x", headers={"X-Custom-Header": "Value", "Cookie": "a=b; c=d"})
    assert found["headers"]["x-custom-header"] == "Value"
    assert found["headers"]["cookie"] == "a=b; c=d"


@requirement("RAWHTTP-016", "WIRE-347")
async def test_large_bodies_pass(conform):
    """Message limits do not apply: two megabytes pass each way."""
    content = b"x" * 2_000_000
    response = await conform.get_or_create("rawHttpActor").fetch("api/echo", method="POST", content=content)
    assert response.content == content
