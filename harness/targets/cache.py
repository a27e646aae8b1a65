"""What targets keep in the user's cache because it takes long to get, such as packages and binaries."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def cache() -> Path:
    """The harness's own directory in the cache of the user; it may not be there yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "actor-conformance"


def made(place: Path, make: Callable[[Path], None]) -> Path:
    """A directory of the cache, made whole or not at all: two runs may need it at the same moment, and one may be interrupted.

    Args:
        place: Where it is; nothing is done when it is there.
        make: Fills the empty directory that it is given.
    """
    if place.is_dir():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix="making-") as directory:
        fresh = Path(directory) / "made"
        fresh.mkdir()
        make(fresh)
        try:
            fresh.rename(place)
        except OSError:
            if not place.is_dir():
                raise
    return place
