"""Whose request it is: proxies are believed when they were named, and actors of this host are known."""

import pytest

from runtime.hosting.standalone.listener.client_address import ClientAddresses
from runtime.hosting.standalone.loopback import LOOPBACK_HEADER

PROXIES = ("127.0.0.1", "10.0.0.0/8", "2001:db8:1::/48")


def of(*headers, peer="127.0.0.1", trusted=PROXIES, secret=""):
    scope = {"client": (peer, 1) if peer else None, "headers": [(name.encode(), value.encode()) for name, value in headers]}
    return ClientAddresses(trusted, secret).of(scope, dict(scope["headers"]))


def forwarded_for(text):
    return ("x-forwarded-for", text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("1.1.1.1, 198.51.100.7", "198.51.100.7"),
        ("1.1.1.1, 198.51.100.7, 10.1.2.3", "198.51.100.7"),
        ("198.51.100.7:4711", "198.51.100.7"),
        ("[2001:db8:2::1]:443", "2001:db8:2::1"),
        ("2001:db8:2::1, 2001:db8:1::5", "2001:db8:2::1"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("10.0.0.1, 10.0.0.2", "10.0.0.1"),
        # Malformed where it counts, and where it does not.
        ("198.51.100.7, unknown", "127.0.0.1"),
        ("198.51.100.7, ", "127.0.0.1"),
        ("nonsense, 10.0.0.1", "127.0.0.1"),
        ("nonsense, 198.51.100.7", "198.51.100.7"),
        ("1.2.3.4.5", "127.0.0.1"),
        ("010.0.0.1", "127.0.0.1"),
        ("é", "127.0.0.1"),
    ],
)
def test_a_named_proxy_says_whose_request_it_is(text, address):
    assert of(forwarded_for(text)) == address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("for=198.51.100.7", "198.51.100.7"),
        ('For="[2001:db8:2::1]:4711";proto=https', "2001:db8:2::1"),
        ("for=1.1.1.1, proto=http; for=198.51.100.7;by=10.0.0.1", "198.51.100.7"),
        ("for=198.51.100.7, for=10.0.0.9", "198.51.100.7"),
        ("for=unknown", "127.0.0.1"),
        ("for=_hidden", "127.0.0.1"),
        ("by=10.0.0.1", "127.0.0.1"),
    ],
)
def test_so_it_does_in_the_header_of_the_standard(text, address):
    assert of(("forwarded", text)) == address


def test_lines_are_one_list():
    assert of(forwarded_for("1.1.1.1"), forwarded_for("198.51.100.7"), forwarded_for("10.0.0.1")) == "198.51.100.7"


def test_two_headers_that_differ_are_no_word_of_the_proxy():
    assert of(forwarded_for("198.51.100.7"), ("forwarded", "for=198.51.100.7")) == "198.51.100.7"
    assert of(forwarded_for("198.51.100.7"), ("forwarded", "for=192.0.2.1")) == "127.0.0.1"


@pytest.mark.parametrize("trusted", [(), ("10.0.0.0/8",), ("unix",)])
def test_nobody_else_is_believed(trusted):
    assert of(forwarded_for("198.51.100.7"), ("forwarded", "for=198.51.100.7"), trusted=trusted) == "127.0.0.1"


def test_a_named_proxy_that_names_nobody_asks_for_itself():
    assert (of(), of(forwarded_for(" "))) == (None, None)
    assert of(peer="192.0.2.1") == "192.0.2.1"


def test_a_unix_socket_has_no_address_and_a_proxy_on_it_is_named_so():
    assert of(forwarded_for("198.51.100.7"), peer="") == ""
    assert of(forwarded_for("198.51.100.7"), peer="", trusted=("unix",)) == "198.51.100.7"


@pytest.mark.parametrize("wrong", ["nonsense", "10.0.0.0/33", "", "http://10.0.0.1"])
def test_proxies_are_addresses_or_networks(wrong):
    with pytest.raises(ValueError, match="is neither an address, a network, nor `unix`"):
        ClientAddresses((wrong,))


def test_who_knows_the_secret_of_the_process_is_one_of_its_actors():
    scope = {"client": ("127.0.0.1", 1), "headers": []}
    for mark, address in ((b"secret", None), (b"guessed", "127.0.0.1"), (b"\xff", "127.0.0.1"), (b"", "127.0.0.1")):
        headers = {LOOPBACK_HEADER: mark, b"x": b"y"}
        assert ClientAddresses((), "secret").of(scope, headers) == address
        assert headers == {b"x": b"y"}
    assert ClientAddresses().of(scope, {LOOPBACK_HEADER: b""}) == "127.0.0.1"
