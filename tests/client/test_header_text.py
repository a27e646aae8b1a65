"""Text that is not ASCII, in everything that goes into a header, a URL or a sub-protocol (WIRE-908)."""

from __future__ import annotations

import json
from urllib.parse import unquote

import pytest

from client import ConfigurationError
from client.header_text import ascii_json, quoted_url

pytestmark = pytest.mark.virtual_time
NAME = "Łukasz \U0001f600 \x7f"


async def test_parameters_reach_every_kind_of_call(gateway, client):
    handle = client.get_or_create("licznik-ż", "klucz-ę", params={"name": NAME})
    await handle.action("dodaj-ą")
    await handle.fetch("ścieżka?co=ś", json={"a": "ć"})
    await handle.send("kolejka-ń", "ó")
    async with handle.connect() as conn:
        await conn.send("kolejka-ń", "ó")
    socket = await handle.web_socket("ścieżka?co=ś")
    await socket.close()
    assert len(gateway.asked) == 4
    for asked in gateway.asked:
        assert asked.headers["x-rivet-conn-params"].isascii()
        assert json.loads(asked.headers["x-rivet-conn-params"]) == {"name": NAME}
    assert unquote(gateway.asked[0].path).endswith("/action/dodaj-ą")
    assert unquote(gateway.asked[1].target).endswith("/request/ścieżka?co=ś")
    assert [json.loads(unquote(peer.protocols[-1].removeprefix("rivet_conn_params."))) for peer in gateway.peers] == [{"name": NAME}] * 2


async def test_headers_and_tokens_go_as_utf8(gateway, new_client):
    client = await new_client(headers={"x-who": " Łukasz é "}, token="klucz-ż")
    handle = client.get_or_create("counter", "a")
    await handle.ping()
    await handle.fetch("x", headers={"X-Mine": "日本"})
    await (await handle.web_socket()).close()
    (manager,), (action, raw) = gateway.rest, gateway.asked
    assert manager.headers["authorization"] == "Bearer klucz-ż"
    assert (action.headers["x-rivet-token"], raw.headers["x-mine"]) == ("klucz-ż", "日本")
    for one in (manager, action, raw):
        assert one.headers["x-who"] == "Łukasz é"
    assert dict(gateway.peers[0].scope["headers"])[b"x-who"].decode() == "Łukasz é"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"headers": {"x-bad": "a\r\nx-more: 1"}}, "'x-bad'"),
        ({"headers": {"x-bad": "\x7f"}}, "'x-bad'"),
        ({"headers": {"x-bad": "\ud800"}}, "'x-bad'"),
        ({"headers": {"naïve": "1"}}, "name of a header"),
        ({"headers": {"": "1"}}, "name of a header"),
        ({"token": "secret\n"}, "the token"),
    ],
)
async def test_what_no_header_can_carry_is_refused_by_its_name(new_client, options, named):
    with pytest.raises(ConfigurationError, match=named) as refused:
        await new_client(**options)
    assert "secret" not in str(refused.value)


async def test_calls_refuse_it_before_anything_is_sent(gateway, client):
    handle = client.get_or_create("counter", "a")
    with pytest.raises(ConfigurationError, match="'X-Bad'"):
        await handle.fetch("x", headers={"X-Bad": "a\nb"})
    with pytest.raises(ConfigurationError, match="method"):
        await handle.fetch("x", method="ŻÓŁW")
    for entry in ("a, b", "ż", "a\r\nx: y", ""):
        with pytest.raises(ConfigurationError, match="sub-protocol"):
            await handle.web_socket(protocols=[entry])
    assert (gateway.asked, gateway.peers) == ([], [])


async def test_ids_and_redirections_are_no_way_around(gateway, client):
    with pytest.raises(ConfigurationError, match="the actor id"):
        await client.get_for_id("counter", "id\r\nx: y", skip_ready_wait=True).fetch("x")
    assert gateway.asked == []


async def test_a_token_that_the_server_names_is_looked_at(gateway, client):
    gateway.metadata["clientToken"] = "a\nb"
    with pytest.raises(ConfigurationError, match="token"):
        await client.get_or_create("counter").ping()
    assert (gateway.asked, gateway.rest) == ([], [])


async def test_a_prefix_of_the_endpoint_may_be_any_text(gateway, new_client):
    client = await new_client(endpoint=f"{gateway.url}/część", namespace="przestrzeń", pool="pula-ł")
    handle = client.get_or_create("licznik", "ą", region="łódź")
    await handle.ping()
    await (await handle.web_socket()).close()
    assert unquote(gateway.asked[0].path).startswith("/część/gateway/")
    assert unquote(gateway.peers[0].target).startswith("/część/gateway/licznik/websocket/?rvt-namespace=przestrzeń")


async def test_blanks_in_the_path_of_a_socket_are_quoted(gateway, client):
    socket = await client.get_or_create("counter", "a").web_socket("a b?c=d e")
    await socket.close()
    assert "/websocket/a%20b?c=d%20e&rvt-" in gateway.peers[0].target


def test_a_host_of_other_letters_is_named_as_in_the_domain_name_system():
    assert quoted_url("http://żółw.pl:81/ś a%20b?c=%C5%84") == "http://xn--w-uga1v8h.pl:81/%C5%9B%20a%20b?c=%C5%84"


@pytest.mark.parametrize("text", ['{"a":1}', '"ü"', '"\U0001f600"', '"\x7f"', '"\\u00fc\\""'])
def test_escaped_text_is_the_same_json(text):
    found = ascii_json(text)
    assert found.isascii()
    assert found.isprintable()
    assert json.loads(found) == json.loads(text)
