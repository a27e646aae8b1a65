"""`python -m fuzz`: hostile input at every decoder, or one input again."""

from __future__ import annotations

import os
import sys
import time
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from fuzz import page, workers
from fuzz.decoders import ALL, BY_NAME
from fuzz.live import command
from fuzz.oracle import Tally, one, outcome, shown
from fuzz.source import source

app = typer.Typer(add_completion=False)
console = Console()
FAILED, USAGE = 1, 2


def row(name: str, seed: int, tally: Tally) -> tuple[str, ...]:
    """The figures of one decoder for people."""
    inputs = max(1, tally.inputs)
    return (
        name, str(seed), f"{tally.inputs:,}", f"{tally.accepted / inputs:.0%}", f"{tally.size / inputs:.0f} / {tally.longest:,}",
        f"{tally.cpu / inputs * 1e6:.1f}", f"{tally.worst * 1000:.1f}", f"{tally.memory / 2**20:.0f}",
        str(len({failure.kind for failure in tally.failures})),
    )  # fmt: skip


COLUMNS = ("decoder", "seed", "inputs", "decoded", "bytes: mean / most", "CPU us: mean", "CPU ms: most", "MiB", "failures")


@app.command()
def main(
    decoder: Annotated[list[str] | None, typer.Option(help="A decoder by name; several times for several. All by default.")] = None,
    seed: Annotated[int, typer.Option(help="Of all inputs.")] = 1,
    inputs: Annotated[int, typer.Option(min=1, help="How many per decoder.")] = 100_000,
    processes: Annotated[int, typer.Option(min=1, help="Processes that share them.")] = os.cpu_count() or 1,
    replay: Annotated[int, typer.Option(help="Try only this number of one decoder, and show it.")] = -1,
    write: Annotated[bool, typer.Option("--page", help="Write the figures into docs/reference/fuzz.md.")] = False,
    live: Annotated[bool, typer.Option("--live", help="Not at decoders but at a server in a process of its own.")] = False,
    connections: Annotated[int, typer.Option(min=1, help="At a time, at a live server.")] = 8,
    names: Annotated[bool, typer.Option("--list", help="Print the names of the decoders.")] = False,
) -> None:
    """Try decoders with inputs of their grammars. Status 1 when one did what none may, 2 for a wrong call."""
    if names:
        sys.stdout.write("\n".join(BY_NAME) + "\n")
        return
    if live:
        raise typer.Exit(command.live(seed, inputs, connections, replay, write=write))
    chosen = decoder or [one.name for one in ALL]
    if unknown := [name for name in chosen if name not in BY_NAME]:
        console.print(f"no decoder {unknown[0]!r}; --list names them", markup=False)
        raise typer.Exit(USAGE)
    if replay >= 0:
        if len(chosen) != 1:
            console.print("--replay needs one --decoder", markup=False)
            raise typer.Exit(USAGE)
        raise typer.Exit(again(chosen[0], seed, replay))
    mark = page.mark()
    rows, failed = tried(chosen, seed, inputs, processes)
    if write:
        page.write(COLUMNS, rows, mark)
    raise typer.Exit(FAILED if failed else 0)


def again(name: str, seed: int, number: int) -> int:
    """One input, shown with what becomes of it."""
    one_decoder, tally = BY_NAME[name], Tally()
    data = one_decoder.make(source(seed, name, number))
    console.print(shown(data, 4000), markup=False)
    one(one_decoder, seed, number, tally)
    kind, error = outcome(one_decoder, data)
    console.print(f"{kind}: {error!r}" if error else kind, f"{tally.worst * 1000:.2f} ms", markup=False)
    for failure in tally.failures:
        console.print(str(failure), markup=False)
    return FAILED if tally.failures else 0


def tried(chosen: list[str], seed: int, inputs: int, processes: int) -> tuple[list[tuple[str, ...]], bool]:
    """Try decoders one after another; their figures, and whether any failed."""
    rows: list[tuple[str, ...]] = []
    failed, started = False, time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        work = bar.add_task("", total=inputs * len(chosen))
        for name in chosen:
            bar.update(work, description=name)
            tally = workers.run(name, seed, inputs, processes, lambda done: bar.advance(work, done))
            rows.append(row(name, seed, tally))
            failed |= bool(tally.failures)
            for failure in {failure.kind: failure for failure in reversed(tally.failures)}.values():
                console.print(f"{name}: {failure}", markup=False, soft_wrap=True)
    table = Table(*COLUMNS)
    for one_row in rows:
        table.add_row(*one_row)
    console.print(table)
    console.print(f"{time.monotonic() - started:.0f} s in {processes} processes")
    return rows, failed


if __name__ == "__main__":
    app()
