"""`python -m fuzz --live`: a server under fire, and the inputs that held it again, each alone."""

from __future__ import annotations

import asyncio

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from fuzz import page
from fuzz.grammars.live import exchange
from fuzz.live.run import MOST_HELD, Outcome, alone, fire
from fuzz.oracle import shown

console = Console()
SHOWN = 4000


def live(seed: int, inputs: int, connections: int, replay: int, *, write: bool) -> int:
    """Run, print, and give the status: 1 when something was wrong."""
    if replay >= 0:
        return _again(seed, replay)
    mark = page.mark()
    columns = (TextColumn("live"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        work = bar.add_task("", total=inputs)
        outcome = asyncio.run(fire(seed, range(inputs), connections, lambda done: bar.advance(work, done)))
    guilty = asyncio.run(_guilty(seed, outcome.suspects))
    outcome.faults += [f"#{number} holds the loop for {seconds * 1000:.0f} ms" for number, seconds in guilty.items()]
    table = Table("end", "inputs", "the first")
    for end, count in sorted(outcome.ends.items()):
        table.add_row(end, f"{count:,}", f"#{outcome.examples[end]}")
    console.print(table)
    for fault in outcome.faults:
        console.print(fault, markup=False, soft_wrap=True)
    if outcome.faults:
        console.print(f"python -m fuzz --live --seed {seed} --replay NUMBER", markup=False)
    row = figures(seed, connections, outcome)
    console.print("; ".join(f"{name}: {value}" for name, value in zip(page.LIVE_COLUMNS, row, strict=True)), markup=False, soft_wrap=True)
    if write:
        page.write(page.LIVE_COLUMNS, [row], mark, page.LIVE)
    return 1 if outcome.faults else 0


def figures(seed: int, connections: int, outcome: Outcome) -> tuple[str, ...]:
    """One row of the page."""
    return (
        "live", str(seed), f"{outcome.inputs:,} over {connections}", f"{outcome.seconds:.0f}", f"{outcome.cpu:.0f}",
        f"{outcome.held * 1000:.0f}",
        f"{outcome.memory / 2**20:.0f}", outcome.bystander, str(len(outcome.faults)),
    )  # fmt: skip


async def _guilty(seed: int, suspects: list[int]) -> dict[int, float]:
    outcomes = await alone(seed, suspects)
    return {number: outcome.held for number, outcome in outcomes.items() if outcome.held > MOST_HELD}


def _again(seed: int, number: int) -> int:
    given = exchange(seed, number)
    console.print(given.kind, shown(given.opening, SHOWN), *(shown(piece, SHOWN) for piece in given.pieces[:20]), markup=False)
    outcome = asyncio.run(alone(seed, [number]))[number]
    console.print(
        *sorted(outcome.ends), *outcome.faults, f"held for {outcome.held * 1000:.1f} ms", outcome.bystander, sep="\n", markup=False
    )
    return 1 if outcome.faults or outcome.held > MOST_HELD else 0
