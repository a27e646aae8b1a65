"""The pages that say which test holds which promise name tests that exist, and leave out no item of the review."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.requirements.elsewhere import missing

ROOT = Path(__file__).parents[2]
EXPLANATION = ROOT / "docs" / "explanation"
ITEMS = {
    "trust.md": {
        *(f"V{number}" for number in range(1, 14)),
        *(f"1{letter}" for letter in "bcdef"),
        *(f"F{number}" for number in (1, 2, 3, 4, 6, 7, 9, 10, 11)),
    },
    "hardening.md": {
        *("C1", "C2", "C5"),
        *(f"H{number}" for number in (1, 2, 5, 6, 8, 9, 11, 12)),
        *(f"M{number}" for number in (1, 2, 3, 5, 6, 7, 8, 10, 11, 12, 13, 15, 16)),
        *(f"F{number}" for number in (15, 17, 18, 19)),
    },
    "durability.md": {"C3", "C4", "C6", "H4", "H10", "M9", "DB-004", "DB-028", "DB-150", "DB-321"},
}
"""What was found by trying, by the page that says what became of it."""


@pytest.mark.parametrize(("page", "least"), [("trust.md", 60), ("hardening.md", 110), ("durability.md", 60)])
def test_every_test_that_is_named_exists(page, least):
    named = re.findall(r"`((?:\w+/)*test_\w+\.py(?:::\w+)?)`", (EXPLANATION / page).read_text(encoding="utf-8"))
    assert len(named) > least
    assert missing((name for name in named if "::" in name), ROOT) == []


@pytest.mark.parametrize("page", ITEMS)
def test_every_item_has_a_row(page):
    text = (EXPLANATION / page).read_text(encoding="utf-8")
    rows = [row.split("|") for row in text.splitlines() if row.startswith("| ") and ".py" in row]
    held = {item.strip() for row in rows for item in row[1].split(",")}
    assert held >= ITEMS[page]
