"""Lives that end, or are refused something, at a chosen commit, and what became of them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.durability.commits import Plan
from tests.durability.life import script
from tests.durability.model import Commit, Known, Told, known, wrong

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One life, and what the next process lacks."""

    plan: Plan
    life: Known
    problems: list[str]

    @property
    def reached(self) -> bool:
        """Whether the life had that commit at all."""
        return self.life.commits[-1].number >= self.plan.at if self.life.commits else False

    @property
    def where(self) -> Commit:
        """The commit of the plan, or the last."""
        return next((commit for commit in self.life.commits if commit.number == self.plan.at), self.life.commits[-1])

    def text(self) -> str:
        """What is wrong, where."""
        at = self.where
        return f"{self.plan.how} {at.number} ({at.kind}: {at.label}) x{self.plan.times}: " + "; ".join(self.problems)


class Nursery:
    """The process that lives are forked off."""

    def __init__(self, process: subprocess.Popen[str], place: Path) -> None:
        self._process = process
        self._place = place
        self._steps = script()
        self._count = 0
        self.cpu = 0.0

    def live(self, plan: Plan) -> Outcome:
        """A life in a fresh directory, and the next process."""
        self._count += 1
        directory = self._place / str(self._count)
        told, then = self._order(directory, "live", plan), self._order(directory, "check", Plan())
        life = known(self._steps, told, faults=not plan.kills)
        self.cpu += told["cpu"] + then["cpu"]
        problems = wrong(life, self._steps, then, directory, faults=not plan.kills)
        if not problems:
            shutil.rmtree(directory)
        return Outcome(plan, life, problems)

    def _order(self, directory: Path, task: str, plan: Plan) -> Told:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"directory": str(directory), "task": task, "plan": asdict(plan)}) + "\n")
        self._process.stdin.flush()
        told: Told = json.loads(self._process.stdout.readline())
        return told


@contextmanager
def nursery(place: Path) -> Iterator[Nursery]:
    """A warm process; lives leave their directories in `place` when something is wrong with them."""
    command = [sys.executable, "-m", "tests.durability.nursery"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield Nursery(process, place)
        finally:
            process.kill()
