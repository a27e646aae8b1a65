"""What goes wrong with pages at the engine, as errors of `sqlite3`: whoever runs SQL looks for those."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.hosting.engine.protocol.pages import Refused

NO_DATABASE = ("depot", "database_not_found")
TOO_LARGE = ("depot", "commit_too_large")
HEAD_MISMATCH = ("depot", "head_fence_mismatch")
_GONE = ("core", "internal_error")
_GONE_TEXT = "actor does not exist"


class PagesError(sqlite3.OperationalError):
    """Pages could not be read or written; the statement failed, and others may pass."""

    def __init__(self, text: str) -> None:
        super().__init__(f"disk I/O error: {text}")


class FencedError(PagesError):
    """The generation may not use the database any more, or nobody knows what became of its last commit: nothing passes from now on."""


def is_fence(refused: Refused) -> bool:
    """Whether another generation has the actor (ENGINE section 10.2)."""
    kind = (refused.group, refused.code)
    return kind == HEAD_MISMATCH or (kind == _GONE and _GONE_TEXT in refused.message)
