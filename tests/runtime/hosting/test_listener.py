"""What the one port reads out of a request before anything else happens."""

import pytest

from runtime.hosting.standalone.listener.cors import gateway_headers, gateway_preflight, rest_headers, rest_preflight
from runtime.hosting.standalone.listener.faces import is_gateway, no_route
from runtime.hosting.standalone.listener.scopes import address, own_url, raw_path, with_query


@pytest.mark.parametrize(
    ("scope", "path"),
    [
        ({"raw_path": b"/a%2Fb"}, b"/a%2Fb"),
        ({"raw_path": b"/a#b"}, b"/a"),
        ({"path": "/a b"}, b"/a%20b"),
        ({"raw_path": b"/mount/a", "root_path": "/mount"}, b"/a"),
        ({"raw_path": b"/mount", "root_path": "/mount"}, b"/"),
    ],
)
def test_the_path_as_it_was_sent(scope, path):
    assert raw_path(scope) == path
    assert (with_query(path, b""), with_query(path, b"q=1")) == (path.decode(), f"{path.decode()}?q=1")


def test_addresses_of_both_ends():
    assert (address({}), address({"client": ("1.2.3.4", 5)})) == ("", "1.2.3.4")
    assert own_url({"server": ("::1", 80), "root_path": "/m"}) == "http://[::1]:80/m"
    assert (own_url({}), own_url({"server": ("/tmp/socket", None)})) == (None, None)


def test_which_paths_are_the_gateways():
    assert [is_gateway(path) for path in (b"/gateway", b"/gateway/x", b"/gatewayish", b"/x")] == [True, True, False, False]


@pytest.mark.parametrize(("host", "shown"), [(b"h:80", "h"), (b"h", "h"), (b"[::1]:80", "[::1]"), (b"[::1]", "[::1]")])
def test_no_route_names_the_host_without_its_port(host, shown):
    assert no_route({b"host": host}, b"/x").metadata == {"host": shown, "path": "/x"}


def test_cors_of_the_gateway_is_open_and_that_of_the_manager_mirrors():
    assert (b"access-control-allow-origin", b"*") in gateway_headers(None)
    assert (b"access-control-allow-origin", b"http://o") in gateway_headers(b"http://o")
    assert (b"access-control-allow-headers", b"x-mine") in gateway_preflight(None, b"x-mine")
    assert rest_headers(None) == ()
    assert (b"access-control-allow-methods", b"PUT") in rest_preflight(b"http://o", b"PUT", None)
