"""Tables of the reference have a row for everything that there is."""

from __future__ import annotations

import re
import tomllib

import pytest
import typer.main

from harness import capabilities
from harness.cli.app import app
from runtime.declaration.hooks import HOOKS
from tests.docs.samples import ROOT

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
GROUPS = {inner for name in ("baseline", "report") for inner in COMMANDS[name].commands}


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("targets.md", set(capabilities.KNOWN)),
        ("command-line.md", {f"conform {name}" for name in COMMANDS} | GROUPS),
        ("actors.md", {f"{name}(c" for name in HOOKS}),
    ],
)
def test_nothing_is_missing(page, names):
    text = (ROOT / "docs" / "reference" / page).read_text(encoding="utf-8")
    assert {name for name in names if name not in text} == set()


def test_the_architecture_has_every_room():
    text = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    houses = ("runtime", "runtime/actor", "runtime/hosting", "harness")
    rooms = [path.parent for house in houses for path in (ROOT / house).glob("*/__init__.py")]
    assert len(rooms) > 20
    assert [str(room) for room in rooms if not re.search(rf"\b{room.name}\b", text)] == []


def test_the_architecture_has_the_order_that_import_linter_holds():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract["id"] == "rooms"]
    text = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    order = text.partition("From high to low")[2].partition("import-linter")[0]
    assert re.findall(r"`(\w+)`", order) == [room for layer in layers for room in layer.split(" : ")]
