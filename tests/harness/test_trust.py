"""The pages that say which test holds which promise name tests that exist, and trust leaves out no item of the review."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.requirements.elsewhere import missing

ROOT = Path(__file__).parents[2]
EXPLANATION = ROOT / "docs" / "explanation"
PAGE = (EXPLANATION / "trust.md").read_text(encoding="utf-8")
ITEMS = {
    *(f"V{number}" for number in range(1, 14)),
    *(f"1{letter}" for letter in "bcdef"),
    *(f"F{number}" for number in (1, 2, 3, 4, 6, 7, 9, 10, 11)),
}


@pytest.mark.parametrize(("page", "least"), [("trust.md", 60), ("hardening.md", 35)])
def test_every_test_that_is_named_exists(page, least):
    named = re.findall(r"`((?:\w+/)*test_\w+\.py(?:::\w+)?)`", (EXPLANATION / page).read_text(encoding="utf-8"))
    assert len(named) > least
    assert missing((name for name in named if "::" in name), ROOT) == []


def test_every_item_has_a_row():
    rows = [row.split("|") for row in PAGE.splitlines() if row.startswith("| ") and ".py" in row]
    held = {item.strip() for row in rows for item in row[1].split(",")}
    assert held >= ITEMS
