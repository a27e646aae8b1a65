"""The set-up calls against an engine of a dictionary, in virtual time."""

from __future__ import annotations

import httpx
import pytest

from runtime.hosting.engine import setup
from runtime.hosting.engine.setup import SetUpError, check_version, destroy_actor, set_up, wait_listed
from tests.runtime.hosting.virtual import run_virtual

URL = "http://engine.test:6420"
METADATA = {"version": "2.3.11", "envoy_protocol_version": 6}
STARTING = [
    httpx.Response(400, json={"group": "namespace", "code": "not_found", "message": "The namespace does not exist."}),
    httpx.Response(500, json={"group": "core", "code": "internal_error", "message": "An internal error occurred"}),
]


class Engine:
    """Answers from lists per call; the last answer stays."""

    def __init__(self, monkeypatch, **answers):
        self.asked = []
        self.answers = {
            "GET /metadata": [httpx.Response(200, json=METADATA)],
            "POST /namespaces": [httpx.Response(200, json={"namespace": {}})],
            "GET /datacenters": [httpx.Response(200, json={"datacenters": [{"name": "here"}, {"name": "there"}]})],
            "PUT /runner-configs/a%2Fb": [httpx.Response(200, json={"endpoint_config_changed": True})],
        }
        client = httpx.AsyncClient
        monkeypatch.setattr(setup.httpx, "AsyncClient", lambda **options: client(**options, transport=httpx.MockTransport(self.answer)))

    def answer(self, request):
        place = f"{request.method} {request.url.raw_path.decode()}"
        self.asked.append((place, request.content.decode(), request.headers.get("authorization")))
        found = self.answers[place.partition("?")[0]]
        answer = found.pop(0) if len(found) > 1 else found[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def engine(monkeypatch):
    return Engine(monkeypatch)


def test_calls_in_order(engine):
    run_virtual(set_up(URL + "/", "name space", "a/b", "secret"))
    assert [place for place, _, _ in engine.asked] == [
        "GET /metadata", "POST /namespaces", "GET /datacenters", "PUT /runner-configs/a%2Fb?namespace=name%20space",
    ]  # fmt: skip
    assert engine.asked[1][1] == '{"name":"name space","display_name":"name space"}'
    normal = '{"normal":{},"drain_on_version_upgrade":true}'
    assert engine.asked[3][1] == f'{{"datacenters":{{"here":{normal},"there":{normal}}}}}'
    assert {token for _, _, token in engine.asked} == {"Bearer secret"}


def test_a_namespace_that_is_there_is_fine(engine):
    engine.answers["POST /namespaces"] = [httpx.Response(400, json={"group": "namespace", "code": "name_not_unique", "message": "taken"})]
    run_virtual(set_up(URL, "n", "a/b"))
    assert len(engine.asked) == 4
    assert {token for _, _, token in engine.asked} == {None}


def test_an_engine_that_is_starting_is_asked_again(engine):
    engine.answers["GET /metadata"].insert(0, httpx.ConnectError("refused"))
    for answers in list(engine.answers.values())[1:]:
        answers[:0] = STARTING
    run_virtual(set_up(URL, "n", "a/b"))
    assert len(engine.asked) == 4 + 1 + 3 * 2


def test_one_that_never_is_ready(engine):
    engine.answers["GET /datacenters"] = STARTING[1:]
    with pytest.raises(SetUpError, match=r"not set up for pool a/b of namespace n after 30 s; .*GET /datacenters: 500 .*internal_error"):
        run_virtual(set_up(URL, "n", "a/b"))
    assert 290 < len(engine.asked) < 310


def test_one_that_is_not_there(engine):
    engine.answers["GET /metadata"] = [httpx.ConnectError("nobody listens")]
    with pytest.raises(
        SetUpError, match=r"engine at http://engine.test:6420: .* after 2 s; the last attempt: GET /metadata: nobody listens"
    ):
        run_virtual(check_version(URL, within=2))


def test_a_refusal_is_told_at_once(engine):
    engine.answers["POST /namespaces"] = [httpx.Response(403, json={"group": "api", "code": "forbidden", "message": "Access denied"})]
    with pytest.raises(SetUpError, match=r"POST /namespaces: 403 .*Access denied") as raised:
        run_virtual(set_up(URL, "n", "a/b", "secret"))
    assert "secret" not in str(raised.value)
    assert len(engine.asked) == 2


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(200, json={"version": "2.0.1", "envoy_protocol_version": 5}), "2.0.1 speaks envoy protocol 5, and 6 or newer"),
        (httpx.Response(200, json={"runtime": "rivetkit"}), "none of an engine: KeyError"),
        (httpx.Response(200, json=[]), "none of an engine: TypeError"),
        (httpx.Response(200, text="<html>"), "none of an engine: DecodeError"),
        (httpx.Response(502, text="<html>"), "GET /metadata: 502 <html>"),
    ],
)
def test_what_is_no_engine_of_ours(engine, answer, said):
    engine.answers["GET /metadata"] = [answer]
    with pytest.raises(SetUpError, match=said):
        run_virtual(set_up(URL, "n", "a/b"))
    assert len(engine.asked) == 1


def test_a_newer_protocol_is_fine(engine):
    engine.answers["GET /metadata"] = [httpx.Response(200, json={**METADATA, "envoy_protocol_version": 7})]
    run_virtual(check_version(URL))


def page(*keys, cursor=None):
    return httpx.Response(200, json={"envoys": [{"envoy_key": key} for key in keys], "pagination": {"cursor": cursor}})


def test_an_envoy_on_a_later_page_after_a_while(engine):
    engine.answers["GET /envoys"] = [
        page(),
        page("other", cursor="1&2"),
        page(cursor="3"),
        page("other", cursor="1&2"),
        page("mine", cursor="3"),
    ]
    run_virtual(wait_listed(URL, "n", "p", "mine"))
    first, further = "GET /envoys?namespace=n&name=p", "GET /envoys?namespace=n&name=p&cursor=1%262"
    assert [place for place, _, _ in engine.asked] == [first, first, further, first, further]


def test_an_envoy_that_never_comes(engine):
    engine.answers["GET /envoys"] = [page("other")]
    with pytest.raises(SetUpError, match=r"envoy mine is not listed in pool p of namespace n after 30 s$"):
        run_virtual(wait_listed(URL, "n", "p", "mine"))


def test_an_actor_is_destroyed_or_gone_already(engine):
    engine.answers["DELETE /actors/abc"] = [httpx.Response(200, json={})]
    run_virtual(destroy_actor(URL, "n", "abc", "t"))
    engine.answers["DELETE /actors/abc"] = [httpx.Response(400, json={"group": "actor", "code": "not_found", "message": "gone"})]
    run_virtual(destroy_actor(URL, "n", "abc", "t"))
    assert [place for place, _, _ in engine.asked] == ["DELETE /actors/abc?namespace=n"] * 2
