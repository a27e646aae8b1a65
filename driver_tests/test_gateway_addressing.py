"""Suite gateway-addressing: how a request names its actor, by path, query, header or sub-protocol, and each way to name none."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest

from driver_tests.addressing import NOT_FOUND, SEE, post, query, seen
from driver_tests.managing import call, created, ids, listed, refused
from harness import any_encoding, requirement, suite
from harness.testing.codecs import encode_input, new_id, query_path
from harness.testing.interpreter import made, op, play, ref

pytestmark = [suite("gateway-addressing"), any_encoding]

UNDEFINED = ["$Undefined", 0]
UNROUTED = ("api.not_found", "The requested resource was not found")
DISALLOWED = "query gateway method=get does not allow rvt-input, rvt-region, rvt-crash-policy, or rvt-pool params"


FAULTS = {
    "no-namespace": ({"drop": ["namespace"]}, "invalid_params", "missing field `namespace`"),
    "no-method": ({"drop": ["method"]}, "invalid_params", "missing field `method`"),
    "method": ({"method": "create"}, "invalid_params", "unknown method: create, expected get or getOrCreate"),
    "method-case": ({"method": "getorcreate"}, "invalid_params", "unknown method: getorcreate, expected get or getOrCreate"),
    "policy": ({"crash_policy": "x"}, "invalid_params", "unknown crash policy: x, expected restart, sleep, or destroy"),
    "policy-case": ({"crash_policy": "Sleep"}, "invalid_params", "unknown crash policy: Sleep, expected restart, sleep, or destroy"),
    "unknown": ({"bogus": "1"}, "invalid_params", None),
    "unknown-empty": ({"bogus": ""}, "invalid_params", None),
    "skip": ({"skip_ready_wait": "maybe"}, "invalid_params", None),
    "skip-case": ({"skip_ready_wait": "True"}, "invalid_params", None),
}


@requirement("WIRE-229")
@pytest.mark.parametrize("name", FAULTS)
async def test_parameters_that_are_none(conform, name):
    """What lacks, is unknown or has a value outside its set is refused with the detail; nothing is created."""
    changes, code, detail = FAULTS[name]
    response = await post(conform, f"/gateway/counter/action/getCount?{query(conform, **changes)}")
    found = response.json()["metadata"]["detail"] if detail is None else detail
    refused(response, 400, f"guard.query_{code}", f"invalid query gateway params: {found}", {"detail": found})
    assert await listed(conform, name="counter", key=conform.key[0]) == []


@requirement("WIRE-229", "WIRE-228")
@pytest.mark.parametrize("name", ["input", "region", "crash_policy", "runner"])
async def test_parameters_that_only_create(conform, name):
    """`get` refuses each of them alone, also for an actor that exists; it takes a pool."""
    await created(conform, key=conform.key[0])
    value = {"input": "oA", "region": "default", "crash_policy": "sleep", "runner": conform.pool}[name]
    response = await post(conform, f"/gateway/counter/action/getCount?{query(conform, drop=['pool'], method='get', **{name: value})}")
    refused(response, 400, "guard.query_get_disallowed_params", DISALLOWED)
    assert (await post(conform, f"/gateway/counter/action/getCount?{query(conform, method='get')}")).json() == {"output": 0}


@requirement("WIRE-229", "WIRE-087")
async def test_pools_of_a_query(conform):
    """`getOrCreate` needs one of the two names of the pool; of both `rvt-pool` wins."""
    path = "/gateway/counter/action/getCount?"
    text = "query gateway method=getOrCreate requires rvt-pool param"
    refused(await post(conform, path + query(conform, drop=["pool"])), 400, "guard.query_missing_pool", text)
    for pool in ("no-such-pool", ""):
        wrong = await post(conform, path + query(conform, pool=pool, runner=conform.pool))
        assert (wrong.status_code, wrong.json()["code"]) == (400, "no_runner_config_configured")
        assert wrong.json()["metadata"] == {"namespace": conform.namespace, "pool_name": pool}
    for more in ({"runner": "no-such-pool"}, {"runner": conform.pool, "drop": ["pool"]}):
        assert (await post(conform, path + query(conform, **more))).json() == {"output": 0}


@requirement("WIRE-229", "WIRE-088", "WIRE-023")
async def test_places_of_a_query(conform):
    """Namespace and region have to exist, whether the actor does or not."""
    path = "/gateway/counter/action/getCount?"
    for _ in range(2):
        response = await post(conform, path + query(conform, region="moon"))
        refused(response, 400, "datacenter.not_found", "The provided datacenter does not exist.")
        for method in ("get", "getOrCreate"):
            response = await post(conform, path + query(conform, namespace="no-such-namespace", method=method))
            refused(response, 400, "namespace.not_found", "The namespace does not exist.")
        [datacenter, *_] = (await call(conform, "GET", "/datacenters", scoped=False)).json()["datacenters"]
        assert (await post(conform, path + query(conform, region=datacenter["name"]))).json() == {"output": 0}


@requirement("WIRE-229")
@pytest.mark.parametrize("name", ["namespace", "method", "key", "pool", "token"])
async def test_a_parameter_twice(conform, name):
    """It is refused by its full name, also if both say the same."""
    value = {"namespace": conform.namespace, "method": "getOrCreate", "key": conform.key[0], "pool": conform.pool, "token": "t"}[name]
    text = f"{query(conform)}&rvt-token=t&rvt-{name}={value}"
    response = await post(conform, f"/gateway/counter/action/getCount?{text}")
    refused(response, 400, "guard.query_duplicate_param", f"duplicate query gateway param: rvt-{name}", {"name": f"rvt-{name}"})


@requirement("WIRE-229")
async def test_names_of_a_query(conform):
    """A token in the name, no name, and a name that is no text are refused, each in its way."""
    text = query(conform)
    response = await post(conform, f"/gateway/counter@t/action/getCount?{text}")
    refused(response, 400, "guard.query_path_token_syntax", "query gateway paths must not use @token syntax")
    for path in ("/gateway", "/gateway/"):
        response = await post(conform, f"{path}?{text}")
        refused(response, 400, "guard.query_empty_actor_name", "query gateway actor name must not be empty")
    counter, token = "/gateway/counter/x", {"token": "%c3"}
    for path, changes, name in (("/gateway/%ff/x", {}, "name"), (counter, {"key": "a%ff"}, "rvt-key"), (counter, token, "rvt-token")):
        response = await post(conform, f"{path}?{query(conform, **changes)}")
        message = f"invalid percent-encoding for query gateway param '{name}'"
        refused(response, 400, "guard.query_invalid_percent_encoding", message, {"name": name})


@requirement("WIRE-229", "WIRE-170")
async def test_inputs_of_a_query(conform):
    """Input is base64url without padding, of CBOR; everything else is refused, and nothing created."""
    good = base64.urlsafe_b64encode(encode_input([b"\xfb\xff\xfe", "?"])).decode().rstrip("=")
    standard = base64.b64encode(b"\x62\xc3\xbf").decode()  # a text with `/` in the standard alphabet
    assert "/" in standard or "+" in standard
    text = "invalid base64url in query gateway input"
    for wrong in ("!!!", "oA==", "oA=", quote(standard, safe=""), "o", "o A"):
        response = await post(conform, f"/gateway/inputActor/action/getInputs?{query(conform, input=wrong)}")
        refused(response, 400, "guard.query_invalid_base64_input", text)
    for data in (b"\xff\xff", b"\x62a"):
        wrong = base64.urlsafe_b64encode(data).decode().rstrip("=")
        response = await post(conform, f"/gateway/inputActor/action/getInputs?{query(conform, input=wrong)}")
        detail = response.json()["metadata"]["detail"]
        refused(response, 400, "guard.query_invalid_cbor_input", f"invalid query gateway input cbor: {detail}", {"detail": detail})
    assert await listed(conform, name="inputActor", key=conform.key[0]) == []
    found = (await post(conform, f"/gateway/inputActor/action/getInputs?{query(conform, input=good)}")).json()["output"]
    assert found["initialInput"] == [["$Uint8Array", "+//+"], "?"]


@requirement("WIRE-171", "WIRE-170", "WIRE-228")
@pytest.mark.parametrize("value", [0, False, "", None, [], {}], ids=repr)
async def test_falsy_inputs_of_a_query(conform, value):
    """Empty values are inputs."""
    programs = {"createState": [op("return", value={"seen": ref("input"), "has": True})]}
    given = encode_input({"programs": programs, "input": value})
    place = {"namespace": conform.namespace, "key": conform.key, "pool": conform.pool, "path": "/health"}
    url = query_path("interpreter", method="getOrCreate", input_cbor=given, **place)
    assert (await conform.http.get(url)).status_code == 200
    actor = conform.get("interpreter")
    assert await play(actor, op("return", value=[ref("state.has"), ref("state.seen")])) == [True, value]
    response = await post(conform, f"/gateway/inputActor/action/getInputs?{query(conform)}")
    assert response.json()["output"].get("initialInput", UNDEFINED) == UNDEFINED


@requirement("WIRE-227", "WIRE-228")
@pytest.mark.parametrize(
    ("written", "key"),
    [("a+b", "a b"), ("a%2Bb", "a+b"), ("a%20b", "a b"), ("a%26b", "a&b"), ("a=b", "a=b"), ("%C3%A9", "é"), ("a%252Cb", "a%2Cb")],
    ids=["plus", "escaped-plus", "space", "ampersand", "equals", "letter", "escape"],
)
async def test_values_of_a_query(conform, written, key):
    """`+` is a space, then escapes are undone, once."""
    prefix = conform.key[0]
    response = await post(conform, f"/gateway/counter/action/getKey?{query(conform, key=f'{prefix},{written}')}")
    assert response.json() == {"output": [prefix, key]}


@requirement("WIRE-229", "WIRE-228", "WIRE-220")
async def test_keys_of_a_query(conform):
    """A missing key and an empty one are the empty key; commas part it, in the text and in its escapes alike."""
    prefix = conform.key[0]
    for text, parts in ((f"{prefix},a,b", [prefix, "a", "b"]), (f"{prefix}%2Ca", [prefix, "a"]), (f"{prefix},,a", [prefix, "", "a"])):
        response = await post(conform, f"/gateway/counter/action/getKey?{query(conform, key=text)}")
        assert response.json() == {"output": parts}
    absent = [(await post(conform, f"/gateway/counter/action/getKey?{query(conform, **one)}")) for one in ({"drop": ["key"]}, {"key": ""})]
    assert [response.json() for response in absent] == [{"output": []}] * 2
    assert len({response.headers["x-rivet-actor"] for response in absent}) == 1


@requirement("WIRE-228")
async def test_get_creates_nothing(conform):
    """`get` of a key nobody has is not found, again and again; `getOrCreate` makes the actor that `get` finds then."""
    path = f"/gateway/counter/action/getCount?{query(conform, method='get')}"
    for _ in range(2):
        refused(await post(conform, path), 404, *NOT_FOUND)
        assert await listed(conform, name="counter", key=conform.key[0], include_destroyed="true") == []
    made_by = await post(conform, f"/gateway/counter/action/getCount?{query(conform)}")
    found = await post(conform, path)
    assert (made_by.json(), found.json()) == ({"output": 0}, {"output": 0})
    assert made_by.headers["x-rivet-actor"] == found.headers["x-rivet-actor"]
    assert ids(await listed(conform, name="counter", key=conform.key[0])) == [found.headers["x-rivet-actor"]]


@requirement("WIRE-220", "WIRE-224", "WIRE-225")
async def test_what_is_a_query_form(conform):
    """Only a name that begins with `rvt-` makes one; other texts with these letters are parameters of the actor."""
    actor_id = await made(conform, onRequest=SEE).resolve()
    for text in ("a=rvt-method", "xrvt-key=1", "RVT-key=1", "a=1&b=&rvt=1&c=rvt-x=1"):
        found = await seen(conform, f"/gateway/{actor_id}/request/x?{text}")
        assert found["path"] in ("/x", f"/x?{text}")
    response = await post(conform, f"/gateway/{actor_id}/action/exec?rvt-bogus=1")
    assert response.json()["code"] == "query_invalid_params"


@requirement("WIRE-224", "WIRE-225", "WIRE-340")
@pytest.mark.parametrize(
    "text",
    ["", "?", "?a", "?a=", "?b=1%20x&a=+&a=%2F", "?z=1&a=2&z=0", "?a=%7E~", "?x=1?y=2", "?&&a=1&", "?%C3%A9=%C3%A9"],
    ids=["none", "mark", "name", "empty", "escapes", "order", "tilde", "second-mark", "ampersands", "letters"],
)
async def test_the_rest_of_a_query(conform, text):
    """What the gateway does not take goes on byte for byte and in order, by id and by name; nothing left is no query."""
    name, path = "rawHttpRequestPropertiesActor", "/request/a%20b/"
    direct = (await conform.http.get(f"/gateway/{await conform.get_or_create(name).resolve()}{path}{text}")).json()
    assert (direct["pathname"], direct["search"]) == ("/a%20b/", "" if text == "?" else text)
    between = text[1:].partition("&")
    named = f"{between[0]}&{query(conform)}&{between[2]}" if between[1] else f"{query(conform)}" + (f"&{text[1:]}" if text[1:] else "")
    if "&&" not in text:
        found = (await conform.http.get(f"/gateway/{name}{path}?{named}")).json()
        assert (found["pathname"], found["search"]) == (direct["pathname"], direct["search"])


@requirement("WIRE-221", "WIRE-222")
async def test_paths_that_name_nobody(conform):
    """Double slashes, no id, and a token of no letters are no paths to an actor."""
    actor_id = (await created(conform))["actor_id"]
    for path in (
        "/gateway", "/gateway/", "/gateway//", f"/gateway//{actor_id}/action/getCount", f"/gateway/{actor_id}//action/getCount",
        f"/gateway/{actor_id}/action//getCount", f"/gateway/{actor_id}/action/getCount//", f"/gateway/{actor_id}@/action/getCount",
        "/gateway/@/action/getCount", "/gateway/@t/action/getCount", f"/gatewayx/{actor_id}/action/getCount",
    ):  # fmt: skip
        refused(await post(conform, path), 404, *UNROUTED)
    assert (await post(conform, f"/gateway/{actor_id}/action/getCount?a=//")).json() == {"output": 0}


@requirement("WIRE-222", "WIRE-151", "WIRE-223", "WIRE-208", "WIRE-152", "WIRE-029")
async def test_ids_of_a_path(conform):
    """An id may be escaped, in upper case and with any token; one that is none is a fault, one of nobody is not found."""
    actor_id = (await created(conform))["actor_id"]
    escaped = "".join(f"%{ord(letter):02X}" for letter in actor_id)
    for text in (actor_id, actor_id.upper(), escaped, f"{actor_id}@t", f"{actor_id}@a%20b@c", f"%{ord(actor_id[0]):02x}{actor_id[1:]}"):
        response = await post(conform, f"/gateway/{text}/action/getCount")
        assert (response.status_code, response.headers["x-rivet-actor"]) == (200, actor_id), text
    fault = ("core.internal_error", "An internal error occurred")
    for text in ("not-an-id", actor_id[:-1], actor_id + "0", "z" * 30, "0" * 30):
        refused(await post(conform, f"/gateway/{text}/action/getCount"), 500, *fault)
    refused(await post(conform, f"/gateway/{new_id()}/action/getCount"), 404, *NOT_FOUND)
    other = "1" + "0" * 29
    refused(
        await post(conform, f"/gateway/{other}/action/getCount"), 400, "datacenter.not_found", "The provided datacenter does not exist."
    )
