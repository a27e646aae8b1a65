"""Tabs of an actor's own: declaration and files."""

import pytest

from runtime import Actor, InspectorTab, Registry
from runtime.declaration.tabs import check_tabs
from runtime.errors import ActorError
from runtime.inspector.assets import asset, is_public


@pytest.fixture
def folder(tmp_path):
    source = tmp_path / "tab"
    (source / "lib").mkdir(parents=True)
    (source / "index.html").write_text("<p>hello</p>")
    (source / "lib" / "a b.js").write_text("1")
    (tmp_path / "secret.txt").write_text("secret")
    (source / "link").symlink_to(tmp_path / "secret.txt")
    return source


def tab(folder, **changes):
    return InspectorTab(**{"id": "mine", "label": "Mine", "source": folder, **changes})


def test_well_declared(folder):
    tabs = (tab(folder, icon="star"), InspectorTab(id="queue", hidden=True))
    assert check_tabs(tabs) == tabs


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"id": "no spaces"}, "letters"),
        ({"id": ""}, "letters"),
        ({"id": "state"}, "collides"),
        ({"label": None}, "label"),
        ({"label": "  "}, "label"),
        ({"source": None}, "source"),
        ({"source": "nowhere/at/all"}, "source"),
        ({"hidden": True}, "no built-in"),
        ({"id": "queue", "hidden": True}, "neither"),
    ],
)
def test_refused(folder, changes, text):
    with pytest.raises(ValueError, match=text):
        check_tabs([tab(folder, **changes)])


def test_duplicates_are_refused_when_the_registry_is_built(folder):
    class Doubled(Actor):
        inspector_tabs = (tab(folder), tab(folder))

    with pytest.raises(ValueError, match="twice"):
        Registry(Doubled)


@pytest.mark.parametrize(
    ("path", "content_type", "body"),
    [
        ("/inspector/custom-tabs/mine", b"text/html", b"<p>hello</p>"),
        ("/inspector/custom-tabs/mine/", b"text/html", b"<p>hello</p>"),
        ("/inspector/custom-tabs/mine/lib/a%20b.js", b"text/javascript", b"1"),
    ],
)
async def test_files_are_served(folder, path, content_type, body):
    reply = await asset([tab(folder)], path)
    assert (reply.status, dict(reply.headers)[b"content-type"], reply.body) == (200, content_type, body)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/inspector/ui", "inspector.ui_asset_not_found"),
        ("/inspector/ui/app.js", "inspector.ui_asset_not_found"),
        ("/inspector/tab.css", "inspector.ui_asset_not_found"),
        ("/inspector/custom-tabs/other/index.html", "inspector.custom_tab_not_found"),
        ("/inspector/custom-tabs/queue/index.html", "inspector.custom_tab_not_found"),
        ("/inspector/custom-tabs/mine/missing.js", "inspector.custom_tab_asset_not_found"),
        ("/inspector/custom-tabs/mine/lib", "inspector.custom_tab_asset_not_found"),
        ("/inspector/custom-tabs/mine/../secret.txt", "actor.invalid_request"),
        ("/inspector/custom-tabs/mine/lib/%2e%2e/%2e%2e/secret.txt", "actor.invalid_request"),
        ("/inspector/custom-tabs/mine/%2Fetc/passwd", "actor.invalid_request"),
        ("/inspector/custom-tabs/mine/..%5csecret.txt", "actor.invalid_request"),
        ("/inspector/custom-tabs/mine/a%00b", "actor.invalid_request"),
        ("/inspector/custom-tabs/mine/link", "actor.invalid_request"),
    ],
)
async def test_refused_paths(folder, path, code):
    with pytest.raises(ActorError) as caught:
        await asset([tab(folder), InspectorTab(id="queue", hidden=True)], path)
    assert caught.value.name == code


@pytest.mark.parametrize(
    ("method", "path", "public"),
    [
        ("GET", "/inspector/ui", True),
        ("GET", "/inspector/ui/a/b", True),
        ("GET", "/inspector/tab.css", True),
        ("GET", "/inspector/custom-tabs/x", True),
        ("POST", "/inspector/ui", False),
        ("GET", "/inspector/uix", False),
        ("GET", "/inspector/state", False),
        ("GET", "/inspector/custom-tabs", False),
    ],
)
def test_which_routes_need_no_token(method, path, public):
    assert is_public(method, path) is public
