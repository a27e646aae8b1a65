"""Whatever a guide points at is there, every guide is reached from the index, and nothing is left to be decided."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import pytest

from tests.docs.samples import ROOT, pages

if TYPE_CHECKING:
    from pathlib import Path

LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]*)?\)")
FILE = re.compile(
    r"`((?:runtime|client|harness|fixtures|driver_tests|tests|docs|targets|bench|fuzz|\.ci)/(?!\S*node_modules)[\w./-]*[\w/])(?:::(\w+))?`",
)
GUIDE = re.compile(r"\bdocs/[\w/-]+\.md\b")
ROOMS = ("runtime", "client", "harness", "fixtures", "driver_tests", "tests")
KINDS = ("tutorial", "how-to", "reference", "explanation")
OPEN = "T" + "BD"


@cache
def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def broken(page: Path, text: str) -> list[str]:
    """The links and files of a text that lead nowhere."""
    found = []
    for path, anchor in LINK.findall(text):
        if path.startswith(("http:", "https:", "mailto:")):
            continue
        to = (page.parent / path).resolve() if path else page
        if not to.exists() or (anchor and to.suffix == ".md" and anchor[1:] not in anchors(to)):
            found.append(path + anchor)
    return found + [path for path, _ in FILE.findall(text) if not (ROOT / path).exists()]


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_files_exist(page):
    assert broken(page, page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("text", ["[a](nowhere.md)", "[a](README.md#no-such-heading)", "see `runtime/nothing.py`"])
def test_what_leads_nowhere_is_noticed(text):
    assert len(broken(ROOT / "README.md", text)) == 1


def test_every_guide_is_in_the_index():
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / path).resolve() for path, _ in LINK.findall(index.read_text(encoding="utf-8")) if path}
    guides = {page for kind in KINDS for page in (ROOT / "docs" / kind).glob("*.md")}
    assert guides - linked == set()


def test_nothing_is_left_to_be_decided():
    files = [path for room in (*ROOMS, "docs") for kind in ("*.py", "*.md", "*.toml") for path in (ROOT / room).rglob(kind)]
    assert len(files) > 500
    assert [str(path) for path in files if re.search(rf"\b{OPEN}\b", path.read_text(encoding="utf-8"))] == []


def test_guides_that_code_names_exist():
    files = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    files += [ROOT / name for name in ("CHANGELOG.md", "pyproject.toml", "tox.ini", "targets/rivetkit/README.md")]
    files += (ROOT / "targets" / "rivetkit" / "fixtures").glob("*.ts")
    named = {page for path in files for page in GUIDE.findall(path.read_text(encoding="utf-8"))}
    assert len(named) > 5
    assert {page for page in named if not (ROOT / page).exists()} == set()
