"""The golden vectors are what the npm client writes and makes of our bytes today."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from tests.peer.script import run_script
from tests.runtime.golden_values import GOLDEN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.peer.conftest import Npm


@pytest.mark.timeout(180, func_only=True)
async def test_golden_vectors_are_up_to_date(npm: Npm, tmp_path: Path) -> None:
    """A fresh capture equals the committed one."""
    await run_script(npm, "golden", str(tmp_path), timeout=150)
    for name in ("sent.json", "accepted.json"):
        captured = json.loads(await asyncio.to_thread((tmp_path / name).read_text))
        assert captured == json.loads(await asyncio.to_thread((GOLDEN / name).read_text)), name
