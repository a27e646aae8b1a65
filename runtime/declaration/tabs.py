"""Tabs that an actor adds to the inspector's user interface, or hides from it (INSP-118)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

BUILT_IN = frozenset({"workflow", "database", "state", "queue", "schedules", "connections", "console"})
# Ids are segments of paths, so nothing that a path gives a meaning to.
_ID = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectorTab:
    """One entry of `Actor.inspector_tabs`: a custom tab, or a built-in one to hide.

    Attributes:
        id: Letters, digits, `_` and `-`; for `hidden` the name of a built-in tab.
        label: What the tab is called; required for custom tabs.
        source: The folder with the tab's files, `index.html` first; required for custom tabs.
        icon: Name of an icon.
        hidden: Hide the built-in tab of this id.
    """

    id: str
    label: str | None = None
    source: str | Path | None = None
    icon: str | None = None
    hidden: bool = False


def check_tabs(tabs: Sequence[InspectorTab]) -> tuple[InspectorTab, ...]:
    """The tabs, if they are well declared.

    Raises:
        ValueError: A malformed or repeated id, a collision with a built-in tab, an unknown built-in, an empty label, a missing source.
    """
    seen: set[str] = set()
    for tab in tabs:
        if tab.id in seen:
            raise ValueError(f"inspector tab {tab.id!r} is declared twice")
        seen.add(tab.id)
        if tab.hidden:
            _check_hidden(tab)
        else:
            _check_custom(tab)
    return tuple(tabs)


def _check_hidden(tab: InspectorTab) -> None:
    if tab.id not in BUILT_IN:
        raise ValueError(f"inspector tab {tab.id!r} cannot be hidden: there is no built-in tab of that name")
    if tab.label is not None or tab.source is not None or tab.icon is not None:
        raise ValueError(f"inspector tab {tab.id!r} is hidden and takes neither label, source nor icon")


def _check_custom(tab: InspectorTab) -> None:
    if not _ID.fullmatch(tab.id):
        raise ValueError(f"inspector tab id {tab.id!r} may only have letters, digits, '_' and '-'")
    if tab.id in BUILT_IN:
        raise ValueError(f"inspector tab {tab.id!r} collides with the built-in tab of that name")
    if not tab.label or not tab.label.strip():
        raise ValueError(f"inspector tab {tab.id!r} needs a label")
    # Looked at when the class is registered: later a missing folder would only show as an empty tab.
    if tab.source is None or not Path(tab.source).is_dir():
        raise ValueError(f"inspector tab {tab.id!r} needs a source folder that exists, got {tab.source!r}")
