"""The inspector's public routes: files of custom tabs; no user interface is embedded (INSP-115..117)."""

from __future__ import annotations

import asyncio
import mimetypes
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from runtime.errors import make_error
from runtime.replies import Reply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.declaration.tabs import InspectorTab

INDEX = "index.html"
# Public because a browser loads files of a page without the header that carries the token; they hold code of the author, no data.
_PUBLIC = re.compile(r"/inspector/(?:ui(?:/.*)?|tab\.css|custom-tabs/(?P<tab>[^/]*)(?:/(?P<file>.*))?)", re.DOTALL)


def is_public(method: str, path: str) -> bool:
    """Whether a request needs no token (INSP-115)."""
    return method == "GET" and _PUBLIC.fullmatch(path) is not None


async def asset(tabs: Sequence[InspectorTab], path: str) -> Reply:
    """The file behind a public path.

    Raises:
        ActorError: inspector.ui_asset_not_found, inspector.custom_tab_not_found, inspector.custom_tab_asset_not_found;
            actor.invalid_request when the path leaves the tab's folder.
    """
    match = _PUBLIC.fullmatch(path)
    if match is None or match["tab"] is None:
        raise make_error("inspector.ui_asset_not_found", message="Inspector UI asset was not found in the embedded bundle")
    # Decoded once, before it is judged: `%2e%2e` must not be found harmless and then mean the folder above.
    name = unquote(match["file"] or "")
    if "\0" in name or "\\" in name or name.startswith("/") or ".." in name.split("/"):
        raise make_error("actor.invalid_request", message="Inspector tab path must stay inside its folder")
    # A hidden tab has no files: its id is that of a built-in one.
    source = next((tab.source for tab in tabs if tab.id == match["tab"] and not tab.hidden), None)
    if source is None:
        raise make_error("inspector.custom_tab_not_found", message="Inspector custom tab id was not registered on this actor")
    # A folder may lie on a slow disk, and the loop serves every actor.
    content = await asyncio.to_thread(_read, Path(source), name or INDEX)
    if content is None:
        raise make_error("inspector.custom_tab_asset_not_found", message="Inspector custom tab asset was not found")
    kind = mimetypes.guess_type(name or INDEX)[0] or "application/octet-stream"
    return Reply(200, ((b"content-type", kind.encode()),), content)


def _read(folder: Path, name: str) -> bytes | None:
    """The file, unless there is none; links may not lead out of the folder either."""
    folder = folder.resolve()
    # Resolved before it is compared: the name was harmless, but a link in the folder may point anywhere.
    target = (folder / name).resolve()
    if not target.is_relative_to(folder):
        raise make_error("actor.invalid_request", message="Inspector tab path must stay inside its folder")
    return target.read_bytes() if target.is_file() else None
