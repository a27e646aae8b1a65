"""Files that need no token."""

import pytest

from runtime.declaration.tabs import InspectorTab
from runtime.errors import ActorError
from runtime.inspector.assets import asset, is_public


async def test_only_files_of_shown_tabs_are_public(tmp_path):
    (tmp_path / "index.html").write_text("<p>")
    tabs = [InspectorTab(id="mine", label="Mine", source=str(tmp_path)), InspectorTab(id="queue", hidden=True)]
    assert is_public("GET", "/inspector/custom-tabs/mine/")
    assert not is_public("POST", "/inspector/custom-tabs/mine/")
    assert not is_public("GET", "/inspector/state")
    assert (await asset(tabs, "/inspector/custom-tabs/mine/")).body == b"<p>"
    for path in ("mine/../x", "mine/no.css", "queue/", "other/"):
        with pytest.raises(ActorError):
            await asset(tabs, f"/inspector/custom-tabs/{path}")
