"""What is acknowledged is durable, whenever the process dies and whatever the disk refuses: one scripted life, ended at every commit.

`docs/explanation/durability.md` has the table of kinds that this is about. CONFORM_SEED chooses other positions.
"""

from __future__ import annotations

import os
import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.durability.commits import Plan
from tests.durability.life import script
from tests.durability.table import nursery

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.durability.table import Nursery, Outcome
    from tests.soak import Record

SEED = int(os.environ.get("CONFORM_SEED", "14"))
MEMORY = Path("/dev/shm")
FEWEST_COMMITS = 250
KINDS = 11
"""How many kinds of commits a run of the tests tries; another seed tries others."""
PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "durability.md"


@pytest.fixture(scope="module")
def lives() -> Iterator[Nursery]:
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as place, nursery(Path(place)) as found:
        yield found


def test_the_page_says_what_each_kind_promises() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ") and "test_kill_table.py::" in line]
    assert {row.strip("| ").partition(" |")[0] for row in rows} == {step.kind for step in script()} - {"rest"}


@pytest.mark.timeout(120)
def test_positions_of_some_kinds(lives: Nursery) -> None:
    """A seeded choice of the soak test's kinds and positions: killed before or after a commit, or refused it (DB-006, RUN-141)."""
    chance = random.Random(SEED)
    whole = lives.live(Plan())
    assert not whole.problems, whole.text()
    by_kind: dict[str, list[int]] = {}
    for commit in whole.life.commits:
        by_kind.setdefault(commit.kind, []).append(commit.number)
    # Reading what the last generation left, and the long rest in the end, write nothing by themselves.
    assert len(whole.life.commits) >= FEWEST_COMMITS and len(by_kind) >= len({step.kind for step in script()}) - 2
    ways = [Plan(1, "before"), Plan(1, "after"), Plan(1, "full"), Plan(1, "io", 3)]
    for kind, numbers in chance.sample(sorted(by_kind.items()), KINDS):
        way = chance.choices(ways, weights=(4, 4, 1, 1))[0]
        outcome = lives.live(Plan(chance.choice(numbers), way.how, way.times))
        assert not outcome.problems, f"{kind}: {outcome.text()}"


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("how", "times"), [("before", 1), ("after", 1), ("full", 1), ("io", 3)])
def test_every_position(how: str, times: int, lives: Nursery, record_property: Record) -> None:
    """Every commit of the life, killed before or after it, or refused it (DB-006, DB-027, RUN-141, RUN-146, QUEUE-003, TASK-203)."""
    began, whole = lives.cpu, lives.live(Plan())
    outcomes: list[Outcome] = []
    while (outcome := lives.live(Plan(len(outcomes) + 1, how, times))).reached:
        outcomes.append(outcome)
    wrong = [outcome for outcome in outcomes if outcome.problems]
    kinds = {outcome.where.kind for outcome in outcomes}
    promises = sum(outcome.life.promises for outcome in outcomes)
    refused = sum(outcome.life.refused for outcome in outcomes)
    record_property(
        "figures",
        f"{len(kinds)} kinds, {len(outcomes)} positions, {promises} acknowledgements and {refused} refusals looked up, {len(wrong)} wrong, "
        f"{lives.cpu - began:.0f} s of processor time",
    )
    assert not wrong, "\n".join(outcome.text() for outcome in wrong)
    assert len(outcomes) >= len(whole.life.commits) - 5
    assert kinds >= {commit.kind for commit in whole.life.commits}
