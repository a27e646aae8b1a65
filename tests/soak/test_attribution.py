"""How often the cause of a flake is named right; writes `docs/explanation/attribution.md`."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.flake.attribution import MOST, attribute
from harness.flake.causes import Cause
from harness.flake.loops import Budget, loop
from harness.flake.stats import CONFIDENCE
from harness.targets import TargetOptions
from tests.harness.flaky_target import COINS, SEED
from tests.harness.kinds import BORDER, RIGHT, by_kind, matrix, right_when_said
from tests.harness.sample import request, write_corpus

if TYPE_CHECKING:
    from tests.soak import Record

pytestmark = [pytest.mark.soak, pytest.mark.timeout(7200)]
PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "attribution.md"
SEEDS = int(os.environ.get("CONFORM_SOAK_SEEDS", "20"))
DRAWS = 1000
SAID = (Cause.RACE, Cause.LOAD, Cause.ORDER, Cause.HARNESS, Cause.UNKNOWN)
CORPUS = '''
@requirement("TASK-001")
async def test_leaves(conform):
    """Passes, but may leave something behind."""
    assert (await conform.http.get("/leave")).status_code == 200

@requirement("TASK-001")
async def test_order(conform):
    """Fails when something was left behind."""
    assert (await conform.http.get("/find")).status_code == 200, "not alone"

@requirement("TASK-001")
async def test_race(conform):
    """Fails at random, whatever happens around it."""
    assert (await conform.http.get("/race")).status_code == 200, "lost"

@requirement("TASK-001")
async def test_load(conform):
    """Fails at random, and always on a busy machine."""
    assert (await conform.http.get("/load")).status_code == 200, "late"

@requirement("TASK-001")
async def test_none(conform):
    """Fails at random until whatever made it fail is over."""
    assert (await conform.http.get("/gone")).status_code == 200, "gone"

@requirement("TASK-001")
async def test_harness(conform):
    """The test itself is at fault."""
    if (await conform.http.get("/race")).status_code != 200:
        raise HarnessError("misused")
'''


def test_causes_of_synthetic_tests(record_property: Record):
    found = matrix(DRAWS)
    kinds = by_kind(found)
    _publish("Synthetic tests", [*_table(kinds), "", *_models(found)])
    _publish("Close to the border", _models(matrix(DRAWS // 2, BORDER)))
    record_property("figures", _summary(kinds))
    assert min(_named(kinds).values()) >= CONFIDENCE


def test_causes_of_a_flaky_target(tmp_path, monkeypatch, record_property: Record):
    """Real workers, a real target, a machine that is really made busy: loops, then replays, for every kind and seed."""
    corpus = write_corpus(tmp_path / "corpus", alpha=CORPUS)
    kinds: dict[str, Counter[Cause]] = {kind: Counter() for kind in RIGHT}
    for seed in range(SEEDS):
        coins = tmp_path / str(seed)
        coins.mkdir()
        monkeypatch.setenv(COINS, str(coins))
        monkeypatch.setenv(SEED, str(seed))
        wanted = request(corpus, target=TargetOptions("tests.harness.flaky_target:make"), jobs=2)
        report = asyncio.run(loop(wanted, Budget(loops=20), lambda _: None))
        assert not report.problems
        (coins / "over").touch()
        for tally in report.flaky:
            kind = tally.id.name.removeprefix("test_")
            # What never comes back has no more to show in eighty replays than in twenty.
            most = 20 if kind == "none" else MOST
            kinds[kind][asyncio.run(attribute(wanted, tally, lambda _: None, most=most, burners=1)).cause] += 1
    _publish("A flaky target, end to end", _table(kinds))
    record_property("figures", _summary(kinds))
    assert all(said.total() >= SEEDS - 1 for said in kinds.values()), kinds
    assert all(said[RIGHT[kind]] / said.total() >= 0.8 for kind, said in kinds.items()), kinds
    assert min(_named(kinds).values()) >= CONFIDENCE - 0.1


def _table(kinds: dict[str, Counter[Cause]]) -> list[str]:
    right = _named(kinds)
    lines = [f"| true kind | {' | '.join(SAID)} | tests |", "|---" * (len(SAID) + 2) + "|"]
    for kind, said in kinds.items():
        lines.append(f"| {kind} | {' | '.join(f'{said[cause] / max(1, said.total()):.1%}' for cause in SAID)} | {said.total()} |")
    return [
        *lines,
        f"| *right when said* | {' | '.join(f'{right[cause]:.1%}' if cause in right else '-' for cause in SAID)} | |",
    ]


def _named(kinds: dict[str, Counter[Cause]]) -> dict[Cause, float]:
    """How much is right of each cause that is named; what is not attributed names none."""
    return {cause: share for cause, share in right_when_said(kinds).items() if cause is not Cause.UNKNOWN}


def _models(found) -> list[str]:
    lines = ["| kind | restart | alone | contention | shuffled | right | wrong | not attributed |", "|---" * 8 + "|"]
    for model, said in found.items():
        rates = (model.restart, model.alone, model.contention, model.shuffled)
        right = said[RIGHT[model.kind]]
        none = 0 if RIGHT[model.kind] is Cause.UNKNOWN else said[Cause.UNKNOWN]
        shares = (right, said.total() - right - none, none)
        lines.append(
            f"| {model.kind} | {' | '.join(f'{rate:g}' for rate in rates)} | {' | '.join(f'{one / said.total():.1%}' for one in shares)} |"
        )
    return lines


def _summary(kinds: dict[str, Counter[Cause]]) -> str:
    return ", ".join(f"{kind} {said[RIGHT[kind]]}/{said.total()} right" for kind, said in kinds.items())


def _publish(heading: str, lines: list[str]) -> None:
    """Replace the tables of one section; its introduction stays."""
    first, *sections = PAGE.read_text(encoding="utf-8").split("\n## ")
    for number, section in enumerate(sections):
        if section.startswith(f"{heading}\n"):
            sections[number] = "\n".join([section.partition("\n| ")[0].rstrip(), "", *lines, ""])
    PAGE.write_text("\n## ".join([first, *sections]), encoding="utf-8")
