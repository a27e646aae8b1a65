"""Where the corpus is that comes with this project."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from harness.errors import UsageError


def standard_corpus() -> Path:
    """The directory of the corpus that comes with this project.

    Raises:
        UsageError: it is not installed.
    """
    # Found, not imported: the corpus builds on the harness, never the other way round.
    found = importlib.util.find_spec("driver_tests")
    if found is None or found.origin is None:
        raise UsageError("the corpus (package driver_tests) is not installed; name another with --corpus")
    return Path(found.origin).parent
