"""Which pages and which names are let in: every way to say who asks, and nothing behind it."""

import pytest

from runtime import HostOptions, Registry, create_app
from runtime.hosting.standalone.listener.doors import MAX_NAME, Doors, is_local, is_loopback

HERE, LAN, ELSEWHERE = "127.0.0.1", "192.168.1.5", "https://evil.example"
FOREIGN_HOSTS = (
    "evil.example", "evil.example:6420", "localhost.evil.example", "evil-localhost", "localhostx", "127.0.0.1.nip.io",
    "127.0.0.1.evil.example:6420", "0.0.0.0", "0.0.0.0:6420", "[::]:6420", "192.168.1.5:6420", "10.0.0.1", "[fe80::1]", "[::ffff:10.0.0.1]",
    "128.0.0.1", "127.1", "2130706433", "0x7f.1", "", " ", "localhost evil", "me@localhost", "localhost@evil.example", "localhost/x",
    "localhost:x", "localhost:6420:1", "[::1", "::1", "[::1]x", "[::1%25lo]", "localhost..", ".localhost.evil", "localhost,evil.example",
    b"localhost\xff", b"\xe2\x84\x93ocalhost", "a" * 300, "localhost:" + "0" * 300,
)  # fmt: skip
FOREIGN_ORIGINS = (
    ELSEWHERE, "http://evil.example", "http://evil.example:6420", "https://evil.example.", "http://localhost.evil.example",
    "http://evil-localhost:6420", "http://127.0.0.1.nip.io:6420", "http://192.168.1.5:6420", "http://0.0.0.0:6420", "null", "NULL", "",
    "localhost", "//localhost", "localhost:6420", "http://localhost@evil.example", "http://localhost:6420@evil.example",
    "http://evil.example/localhost", "http://localhost:6420/", "http://localhost?x", "http://localhost#x",
    "http://localhost:6420 http://evil.example", "http://evil.example, http://localhost:6420", "http://localhost,evil.example", "file://",
    "file://localhost", "chrome-extension://abcdef", "vscode-webview://localhost", "ftp://localhost", "http://localhost:x", "http://",
    "http:localhost", "http:///localhost", "http://[::1", "http://localhost\\evil.example", "http://" + "a" * 300 + ".localhost",
    b"http://localhost\xff", b"http://\xc4\xb1ocalhost", "http://localhost%00.evil.example", "http://127.1", "http://2130706433",
)  # fmt: skip


def scope(*headers, server=HERE, kind="http", method="GET", path="/actors", query="", scheme=None):
    raw = [(name.encode(), value if isinstance(value, bytes) else value.encode()) for name, value in headers]
    found = {"type": kind, "scheme": scheme or {"http": "http", "websocket": "ws"}[kind], "headers": raw, "query_string": query.encode()}
    address = server if isinstance(server, tuple) or server is None else (server, 6420)
    return found | {"server": address, "path": path, "raw_path": path.encode()} | ({"method": method} if kind == "http" else {})


def asked(host="localhost:6420", origin=None, site=None, **more):
    named = (("host", host), ("origin", origin), ("sec-fetch-site", site))
    return scope(*((name, value) for name, value in named if value is not None), **more)


def test_programs_pass_under_every_name_of_this_machine():
    for host in (
        "localhost", "localhost:6420", "LOCALHOST:1", "localhost.", "localhost.:6420", "app.localhost:6420", "127.0.0.1", "127.0.0.1:6420",
        "127.0.0.1.:80", "127.1.2.3:6420", "127.255.255.254", "[::1]", "[::1]:6420", "[0:0:0:0:0:0:0:1]:6420", "[::ffff:127.0.0.1]:6420",
        "[::FFFF:7F00:1]", "localhost:", None,
    ):  # fmt: skip
        for server in (HERE, "127.9.9.9", "::1", "::ffff:127.0.0.1", "localhost"):
            for kind in ("http", "websocket"):
                assert Doors().refusal(asked(host, server=server, kind=kind)) is None, (host, server)


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_name_of_elsewhere_on_loopback_is_no_name_of_ours(kind):
    for host in FOREIGN_HOSTS:
        for more in ({}, {"origin": "http://localhost:6420", "site": "same-origin"}):
            assert "--allow-host" in (Doors().refusal(asked(host, kind=kind, **more)) or ""), host


def test_another_address_than_loopback_has_names_that_we_do_not_know():
    for server in (LAN, "2001:db8::1", "::ffff:192.168.1.5", "0.0.0.0", ("/run/socket", None), None, "testserver"):
        assert Doors().refusal(asked("actors.example", server=server)) is None
    known = Doors.of(hosts=["actors.example"])
    for host in ("actors.example", "ACTORS.example.:80", "192.168.1.5:6420", "[2001:db8::1]"):
        assert known.refusal(asked(host, server=LAN)) is None
    for host in ("evil.example", "localhost.evil.example", "actors.example.evil", ""):
        assert known.refusal(asked(host, server=LAN)) is not None


def test_names_that_are_allowed_or_that_the_server_was_given():
    doors = Doors.of(hosts=["Dev.Example", "::2"]).served_as("myhost")
    for host in ("dev.example", "DEV.example.:80", "[::2]:6420", "myhost:6420", "localhost:6420"):
        assert doors.refusal(asked(host)) is None
    for host in ("sub.dev.example", "other", "example"):
        assert doors.refusal(asked(host)) is not None
    assert Doors.of(hosts=["*"]).refusal(asked("anything")) is None


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:6420", "http://localhost:6420"), ("localhost:6420", "http://localhost:3000"), ("localhost:6420", "http://localhost"),
        ("localhost:6420", "https://localhost:3000"), ("localhost:6420", "http://127.0.0.1:3000"), ("127.0.0.1:6420", "http://localhost:5173"),
        ("[::1]:6420", "http://[::1]:3000"), ("[::1]:6420", "http://localhost:3000"), ("127.0.0.1:6420", "HTTP://LOCALHOST.:3000"),
        ("localhost:6420", "http://app.localhost:3000"), ("localhost:6420", "http://[::ffff:127.0.0.1]"), (None, "http://localhost:3000"),
    ],
)  # fmt: skip
def test_a_page_of_this_machine_is_no_page_of_elsewhere(host, origin):
    for kind in ("http", "websocket"):
        for site in (None, "same-origin", "same-site", "none"):
            assert Doors().refusal(asked(host, origin, site, kind=kind)) is None


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_page_of_elsewhere_is_refused_whatever_its_browser_says_of_its_site(kind):
    for origin in FOREIGN_ORIGINS:
        for site in (None, "cross-site", "same-site", "same-origin", "none"):
            assert "--allow-origin" in (Doors().refusal(asked(origin=origin, site=site, kind=kind)) or ""), origin


@pytest.mark.parametrize("method", ["GET", "OPTIONS", "POST", "HEAD"])
@pytest.mark.parametrize("path", ["/", "/actors", "/health", "/health/ws", "/gateway/x/request/a", "/gateway/x/inspector/ui", "/metadata"])
def test_a_page_of_elsewhere_is_refused_whatever_it_asks(method, path):
    for more in ({"origin": ELSEWHERE}, {"origin": "null"}, {"site": "cross-site"}, {"host": "evil.example"}):
        assert Doors().refusal(asked(method=method, path=path, **more)) is not None


def test_what_asks_without_an_origin_is_judged_by_its_site():
    for site in ("same-origin", "same-site", "none", None):
        assert Doors().refusal(asked(site=site)) is None
    for site in ("cross-site", "CROSS-SITE", "anything", "", "same-origin, cross-site"):
        assert "another site" in Doors().refusal(asked(site=site))
        assert Doors().refusal(asked(site=site, kind="websocket")) is not None
        assert Doors().refusal(asked(site=site, server=LAN, host=LAN)) is not None
    twice = scope(("host", "localhost"), ("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-origin"))
    assert Doors().refusal(twice) is not None
    # A link on a page of elsewhere that leads to the page of an inspector: it may wake an actor, and can be typed.
    link = scope(("host", "localhost"), ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), path="/gateway/x/inspector/ui")
    assert Doors().refusal(link) is not None


def test_a_browser_that_calls_two_names_of_this_machine_two_sites_is_right_and_one_that_contradicts_itself_is_not():
    assert Doors().refusal(asked("127.0.0.1:6420", "http://localhost:3000", "cross-site")) is None
    assert Doors().refusal(asked("localhost:6420", "https://localhost:3000", "cross-site")) is None
    assert Doors().refusal(asked("localhost:6420", "http://localhost:6420", "cross-site")) is not None
    assert Doors().refusal(asked("localhost:6420", "http://localhost:3000", "cross-site")) is not None


def test_what_comes_twice_is_refused():
    for name, values in (
        ("host", ("localhost", "evil.example")),
        ("host", ("localhost", "localhost")),
        ("origin", ("http://localhost",) * 2),
    ):
        headers = [("host", "localhost")] * (name != "host") + [(name, value) for value in values]
        assert "twice" in Doors().refusal(scope(*headers))


def test_elsewhere_the_own_site_alone_is_no_other_site():
    for origin in ("http://192.168.1.5:6420", "http://192.168.1.5", "http://192.168.1.5:3000"):
        assert Doors().refusal(asked("192.168.1.5:6420", origin, server=LAN)) is None
    assert Doors().refusal(asked("actors.example", "https://actors.example", server=LAN, scheme="https")) is None
    assert Doors().refusal(asked("actors.example", "https://ACTORS.example.", server=LAN, scheme="wss", kind="websocket")) is None
    for origin in ("https://192.168.1.5:6420", "http://localhost:6420", "http://192.168.1.6:6420", "null", "http://sub.actors.example"):
        assert Doors().refusal(asked("192.168.1.5:6420", origin, server=LAN)) is not None
    # A port that was published: the browser found both on its own machine.
    assert Doors().refusal(asked("localhost:6420", "http://localhost:3000", server="172.17.0.2")) is None


def test_origins_that_are_allowed():
    doors = Doors.of(["https://App.Example", "http://a.example:80", "https://b.example:8443/", "null", "chrome-extension://abc"])
    known = ("https://app.example", "HTTPS://APP.EXAMPLE", "https://app.example:443", "http://a.example", "https://b.example:8443", "null")
    for origin in (*known, "chrome-extension://abc", "http://localhost:3000"):
        for kind in ("http", "websocket"):
            assert doors.refusal(asked(origin=origin, site="cross-site" if "localhost" not in origin else None, kind=kind)) is None, origin
    for origin in (
        "http://app.example",
        "https://app.example:8443",
        "https://x.app.example",
        "https://app.example.evil",
        "https://b.example",
    ):
        assert doors.refusal(asked(origin=origin)) is not None
    # Nor does an allowed page make this machine answer to another name.
    assert doors.refusal(asked("evil.example", "https://app.example")) is not None


def test_frames_of_an_allowed_page_show_public_files_and_no_more():
    doors, framed = Doors.of(["https://app.example"]), {"site": "cross-site"}
    for path in ("/gateway/abc/inspector/ui", "/gateway/abc/inspector/tab.css", "/gateway/abc/inspector/custom-tabs/t/index.html"):
        assert doors.refusal(asked(path=path, **framed)) is None
        assert Doors().refusal(asked(path=path, **framed)) is not None
        for more in ({"method": "POST"}, {"query": "rvt-method=getOrCreate"}, {"query": "%72vt-method=get"}, {"kind": "websocket"}):
            assert doors.refusal(asked(path=path, **framed, **more)) is not None
    for path in (
        "/gateway/abc/inspector/state",
        "/gateway/abc/request/inspector/ui",
        "/actors",
        "/gateway/abc",
        "/x/abc/inspector/ui",
        "/",
    ):
        assert doors.refusal(asked(path=path, **framed)) is not None


def test_any_page_and_any_name():
    both = Doors.of(["*"], ["*"])
    for headers in (
        (("host", "x"), ("origin", ELSEWHERE)),
        (("host", "x"), ("host", "y")),
        (("origin", "a"), ("origin", "b"), ("sec-fetch-site", "cross-site")),
    ):
        assert both.refusal(scope(*headers)) is None
    assert Doors.of(["*"]).refusal(asked(origin="null", site="cross-site")) is None
    assert Doors.of(["*"]).refusal(asked("evil.example")) is not None
    assert Doors.of(hosts=["*"]).refusal(asked("evil.example", ELSEWHERE)) is not None


def test_what_cannot_be_allowed_is_said_at_once():
    for origin in ("app.example", "https://app.example/path", "https://", "", "https://*", "https://a b", "https://me@app.example"):
        with pytest.raises(ValueError, match="origin"):
            create_app(Registry(), options=HostOptions(allow_origins=(origin,)))
    for host in ("https://app.example", "app.example:80", "", "a b", "a/b"):
        with pytest.raises(ValueError, match="host"):
            Doors.of(hosts=[host])
    with pytest.raises(ValueError, match="tuples"):
        Doors.of("*")


def test_a_refusal_shows_no_more_than_a_line_of_what_was_sent():
    reason = Doors().refusal(asked(origin=b"http://\x1b[31m" + b"a" * 60_000))
    assert len(reason) < 300
    assert reason.isascii() or "…" in reason
    assert "\x1b" not in reason
    assert len(Doors().refusal(asked("x" * (MAX_NAME + 1)))) < 300


def test_loopback_is_asked_of_the_address_that_was_reached():
    for name in ("127.0.0.1", "::1", "[::1]", "localhost", "a.localhost", "::ffff:127.0.0.1"):
        assert is_loopback(name)
    for name in ("", "0.0.0.0", "::", "192.168.1.5", "example", "localhost.example", "::ffff:10.0.0.1"):
        assert not is_loopback(name)
    assert [is_local({"server": server}) for server in (("127.0.0.1", 1), ("10.0.0.1", 1), ("/run/localhost", None), None)] == [
        True,
        False,
        False,
        False,
    ]
    assert not is_local({})
