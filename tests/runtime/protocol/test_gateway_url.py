import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import make_error
from runtime.protocol import cbor, gateway_url
from runtime.protocol.decode_errors import QueryFault
from runtime.protocol.gateway_url import DirectRoute, QueryRoute, parse_gateway_path
from runtime.protocol.values import UNDEFINED

NEEDED = b"rvt-namespace=default&rvt-method=getOrCreate&rvt-pool=p"


def query(text):
    path, _, rest = text.encode().partition(b"?")
    return parse_gateway_path(path, rest)


@pytest.mark.parametrize(
    ("target", "route"),
    [
        ("/gateway/abc", DirectRoute("abc", None, "/")),
        ("/gateway/abc/", DirectRoute("abc", None, "/")),
        ("/gateway/abc@t/x/y?a=1&b=%20+", DirectRoute("abc", "t", "/x/y?a=1&b=%20+")),
        ("/gateway/a%62c@t%40k/connect", DirectRoute("abc", "t@k", "/connect")),
        ("/gateway/abc/x?a=rvt-b", DirectRoute("abc", None, "/x?a=rvt-b")),
        ("/gateway/abc/x#y?rvt-method=get", DirectRoute("abc", None, "/x")),
        ("/gateway", None),
        ("/gateway/", None),
        ("/gateway/@t/x", None),
        ("/gateway/abc@/x", None),
        ("/gateway//x", None),
        ("/gateway/abc//x", None),
        ("//gateway/abc", None),
        ("/gatewayabc/x", None),
        ("/other/abc", None),
    ],
)
def test_direct_form(target, route):
    assert query(target) == route


def test_query_form():
    route = query(
        "/gateway/room%20a/x/y?a=%20+&rvt-namespace=n+s&rvt-method=getOrCreate&b=2&rvt-key=a%2Cb+c&rvt-runner=r&rvt-pool=p"
        "&rvt-input=gQE&rvt-region=eu&rvt-crash-policy=restart&rvt-token=t&rvt-skip-ready-wait=1&c"
    )
    assert route == QueryRoute("room a", "n s", "getOrCreate", ("a", "b c"), "p", [1], "eu", "restart", "t", True, "/x/y?a=%20+&b=2&c")


def test_query_form_defaults():
    route = query("/gateway/room?rvt-namespace=n&rvt-method=get&rvt-key=&rvt-pool=p")
    assert route == QueryRoute("room", "n", "get", (), "p", UNDEFINED, None, "sleep", None, False, "/")


@pytest.mark.parametrize(
    ("target", "code", "message"),
    [
        ("/gateway/a@t?rvt-method=get", "query_path_token_syntax", "query gateway paths must not use @token syntax"),
        ("/gateway/?rvt-method=get", "query_empty_actor_name", "query gateway actor name must not be empty"),
        ("/gateway?rvt-method=get", "query_empty_actor_name", "query gateway actor name must not be empty"),
        ("/gateway/a?rvt-key=1&rvt-key=2", "query_duplicate_param", "duplicate query gateway param: rvt-key"),
        ("/gateway/a?rvt-nope=1", "query_invalid_params", None),
        ("/gateway/a?rvt-method=get", "query_invalid_params", "invalid query gateway params: missing field `namespace`"),
        ("/gateway/a?rvt-namespace=n", "query_invalid_params", "invalid query gateway params: missing field `method`"),
        (
            "/gateway/a?rvt-namespace=n&rvt-method=put",
            "query_invalid_params",
            "invalid query gateway params: unknown method: put, expected get or getOrCreate",
        ),
        (
            "/gateway/a?rvt-namespace=n&rvt-method=getOrCreate&rvt-pool=p&rvt-crash-policy=x",
            "query_invalid_params",
            "invalid query gateway params: unknown crash policy: x, expected restart, sleep, or destroy",
        ),
        ("/gateway/a?rvt-namespace=n&rvt-method=get&rvt-skip-ready-wait=yes", "query_invalid_params", None),
        *[
            (
                f"/gateway/a?rvt-namespace=n&rvt-method=get&rvt-{name}=sleep",
                "query_get_disallowed_params",
                "query gateway method=get does not allow rvt-input, rvt-region, rvt-crash-policy, or rvt-pool params",
            )
            for name in ("input", "region", "crash-policy", "runner")
        ],
        (
            "/gateway/a?rvt-namespace=n&rvt-method=getOrCreate",
            "query_missing_pool",
            "query gateway method=getOrCreate requires rvt-pool param",
        ),
        *[
            (f"/gateway/a?{NEEDED.decode()}&rvt-input={text}", "query_invalid_base64_input", "invalid base64url in query gateway input")
            for text in ("gQE%3D", "a", "+/", "%C3%A9")
        ],
        (f"/gateway/a?{NEEDED.decode()}&rvt-input=gQ", "query_invalid_cbor_input", None),
        (f"/gateway/a?{NEEDED.decode()}&rvt-input=gmIkeAE", "query_invalid_cbor_input", None),
        ("/gateway/a?rvt-key=%ff", "query_invalid_percent_encoding", "invalid percent-encoding for query gateway param 'rvt-key'"),
        ("/gateway/%ff?rvt-method=get", "query_invalid_percent_encoding", "invalid percent-encoding for query gateway param 'name'"),
    ],
)
def test_query_faults(target, code, message):
    with pytest.raises(QueryFault) as caught:
        query(target)
    assert caught.value.code == code
    answer = make_error(f"guard.{code}", **caught.value.fields)
    assert answer.status == 400
    assert message in (None, answer.message)
    assert "{" not in answer.message


@given(path=st.binary(max_size=40), rest=st.binary(max_size=60))
def test_random_targets_are_routes_or_faults(path, rest):
    with contextlib.suppress(QueryFault):
        route = parse_gateway_path(b"/gateway/" + path, rest)
        assert route is None or route.forward.startswith("/")


NAMES = st.text(min_size=1, max_size=10).filter(lambda text: "@" not in text)
KEYS = st.lists(st.text(min_size=1, max_size=8).filter(lambda text: "," not in text), min_size=1, max_size=3)


@given(name=NAMES, key=KEYS, region=st.none() | st.text(max_size=5), token=st.none() | st.text(max_size=5), skip=st.booleans())
def test_query_urls_round_trip(name, key, region, token, skip):
    url = gateway_url.query_path(
        name,
        namespace="n s",
        method="getOrCreate",
        key=key,
        path="/x?a=1",
        pool="p+",
        input_cbor=cbor.dumps({"a": 1}),
        region=region,
        token=token,
        skip_ready_wait=skip,
    )
    assert query(url) == QueryRoute(
        name, "n s", "getOrCreate", tuple(key), "p+", {"a": 1}, region, "sleep", token, skip, "/x?a=1"
    )  # fmt: skip


@pytest.mark.parametrize(("path", "joint"), [("", "?"), ("/x", "?"), ("/x?", ""), ("/x?a=1", "&"), ("/x?a=1&", "")])
def test_joint_between_path_and_query(path, joint):
    url = gateway_url.query_path("a", namespace="n", method="get", key=[], path=path)
    assert url == f"/gateway/a{path}{joint}rvt-namespace=n&rvt-method=get"


@given(st.text(min_size=1, max_size=12), st.none() | st.text(min_size=1, max_size=12))
def test_direct_urls_round_trip(actor_id, token):
    assert query(gateway_url.direct_path(actor_id, "/x?a=1", token)) == DirectRoute(actor_id, token, "/x?a=1")
