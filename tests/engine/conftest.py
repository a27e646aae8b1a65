"""The program of an engine; without it these tests are skipped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.errors import TargetError
from harness.targets.engine_binary import engine_binary

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def program() -> Path:
    """As of the target `engine`, fetched when it is not there; fetching has a limit of its own, so the tests' limit leaves it out."""
    try:
        return engine_binary()
    except TargetError as error:
        pytest.skip(str(error))
