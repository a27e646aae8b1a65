"""The release of this package, as health and metadata routes tell it."""

from __future__ import annotations

from functools import cache
from importlib import metadata


@cache
def version() -> str:
    """The version of the installed distribution.

    Read when first asked for: package metadata lies on disk, and a host without health routes never needs it.
    """
    return metadata.version("actor-conformance")
