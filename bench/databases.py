"""`python -m bench databases`: a statement of a database on threads that all share, beside one on a thread of its own."""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from rich.console import Console
from rich.progress import Progress

from runtime.actor.database.connection import connect
from runtime.actor.database.pool import DatabasePool
from runtime.actor.database.worker import SqlWorker

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from runtime.storage.serial_threads import SerialQueue

MOST_RATIO = 1.2
CROWD = 32
SHARE = 8
"""A crowd does an eighth as many statements each, which is four times as many together."""


class OwnThread(ThreadPoolExecutor):
    """As it was before they shared: one thread for one database."""

    running, completed = True, 0

    def __init__(self) -> None:
        super().__init__(1)


def read(connection: sqlite3.Connection) -> list[object]:
    """One row by its key."""
    return connection.execute("SELECT x FROM t WHERE id = 1").fetchall()


def write(connection: sqlite3.Connection) -> list[object]:
    """The same, changed and committed."""
    return connection.execute("UPDATE t SET x = x + 1 WHERE id = 1").fetchall()


def _table(connection: sqlite3.Connection) -> None:
    connection.executescript("CREATE TABLE t (id INTEGER PRIMARY KEY, x); INSERT INTO t VALUES (1, 0)")


async def taken(databases: Sequence[SqlWorker], statement: Callable[[sqlite3.Connection], object], count: int) -> float:
    """Median microseconds of a statement, when each database is asked one after another and all at once."""
    loop, times = asyncio.get_running_loop(), []

    async def ask(database: SqlWorker) -> None:
        for _ in range(count):
            began = loop.time()
            await database.submit(statement)
            times.append((loop.time() - began) * 1e6)

    await asyncio.gather(*map(ask, databases))
    return statistics.median(times)


async def measure(rounds: int, count: int, step: Callable[[], None]) -> dict[str, float]:
    """Every figure, by name: microseconds, and the median of the ratios of neighbouring rounds."""
    pool = DatabasePool(CROWD)
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        place = Path(directory)
        shared = [await pool.open(partial(connect, str(place / f"shared{n}"), "normal"), _table, on_disk=True) for n in range(CROWD)]
        own = [SqlWorker(partial(connect, str(place / f"own{n}"), "normal"), cast("SerialQueue", OwnThread())) for n in range(CROWD)]
        await asyncio.gather(*(one.open(_table) for one in own))
        figures: dict[str, float] = {}
        for name, statement, some in (("read", read, 1), ("write", write, 1), ("crowd_read", read, CROWD), ("crowd_write", write, CROWD)):
            each, pairs = count if some == 1 else count // SHARE, []
            for number in range(rounds):
                # Who is first changes: what the machine does beside is nobody's in particular.
                sides = [shared[:some], own[:some]] if number % 2 else [own[:some], shared[:some]]
                times = [await taken(side, statement, each) for side in sides]
                pairs.append(times[::-1] if number % 2 else times)
                step()
            figures[f"{name}_own_us"] = statistics.median(before for before, _ in pairs)
            figures[f"{name}_us"] = statistics.median(after for _, after in pairs)
            figures[f"{name}_ratio"] = statistics.median(after / before for before, after in pairs)
        await asyncio.gather(*(one.close() for one in (*own, *shared)))
        await pool.close()
    return figures


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Pairs of rounds for each kind of statement.")] = 15,
    count: Annotated[int, typer.Option(min=SHARE, help="Statements of a round.")] = 2000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of sentences.")] = False,
) -> None:
    """A statement takes as long as on a thread of its own: status 1 if it takes 1.2 times as long.

    One database is asked alone, then 32 at once, which are as many as there are threads.
    """
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("measuring", total=4 * rounds)
        figures = asyncio.run(measure(rounds, count, lambda: progress.advance(bar)))
    names = [name.removesuffix("_ratio") for name in figures if name.endswith("_ratio")]
    if as_json:
        typer.echo(json.dumps({name: round(value, 3) for name, value in figures.items()}))
    else:
        for name in names:
            own, us, ratio = (figures[f"{name}_{part}"] for part in ("own_us", "us", "ratio"))
            typer.echo(f"{name.replace('crowd_', f'{CROWD} at once, ')}: {us:,.0f} us, on a thread of its own {own:,.0f} us: {ratio:.2f}x")
    if any(figures[f"{name}_ratio"] > MOST_RATIO for name in names):
        raise typer.Exit(1)
