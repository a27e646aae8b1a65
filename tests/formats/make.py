"""Makes a small data directory as the release that is checked out writes it, and dumps it as SQL.

    git worktree add /somewhere COMMIT
    cp -r tests/formats /somewhere/tests/
    cd /somewhere; python -m tests.formats.make HERE/tests/formats/NAME

The directories beside this file were made by

| directory | commit | date | what its format has |
|---|---|---|---|
| `first` | 36b7a53 | 2026-11-23 | 1: names in the rows of their namespaces, destroyed records without indexes |
| `indexed` | cd2a227 | 2026-11-28 | 1: names in rows of their own, indexes of destroyed records |
| `own-file` | the one that added it | 2026-11-28 | 2: rows of an actor with a database in its file |

The process is killed in the end, as it were: a connection that is open then is one that hibernates.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from client import Client
from runtime import NO_RATE_LIMITS, HostOptions, InProcessServer, Registry, create_app
from tests.formats.actors import KINDS

HERE = Path(__file__).parent
PRAGMAS = ("page_size", "auto_vacuum", "user_version", "application_id")


async def live(directory: Path) -> None:
    """Fill the directory, and leave it as a process does that is killed."""
    app = create_app(Registry(*KINDS), storage=directory, options=HostOptions(rate_limits=NO_RATE_LIMITS))
    async with InProcessServer(app) as server, Client(server.url) as client:
        for name in ("counter", "stored"):
            actor = client.get_or_create(name, ["a", "b/c"], input="given")
            await actor.fill()
            while not await actor.rung():  # noqa: ASYNC110 - it is asked from outside
                await asyncio.sleep(0.2)
            await actor.calm()
        await actor.write()
        room = client.get_or_create("room", ["a"])
        connection = room.connect({"name": "ann"})
        assert await connection.here() == 1
        order = client.get_or_create("order", ["a"])
        while (await order.status()).get("receipt") is None:  # noqa: ASYNC110 - it is asked from outside
            await asyncio.sleep(0.2)
        gone = client.get_or_create("counter", ["gone"])
        await gone.fill()
        await gone.give_up()
        await asyncio.sleep(2)
        copy(directory)
        os._exit(0)


def copy(directory: Path) -> None:
    """The directory as SQL: what is still in the logs, too."""
    target = Path(sys.argv[1])
    shutil.rmtree(target, ignore_errors=True)
    for file in [directory / "runtime.sqlite3", *sorted((directory / "actors").glob("*.sqlite3"))]:
        place = (target / file.relative_to(directory)).with_suffix(".sql")
        place.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(file)) as connection:
            settings = [f"PRAGMA {name} = {connection.execute(f'PRAGMA {name}').fetchone()[0]};" for name in PRAGMAS]
            place.write_text("\n".join([*settings, *connection.iterdump()]) + "\n", encoding="utf-8")


def build(name: str, directory: Path) -> None:
    """The directory that a dump was made of."""
    for dump in (HERE / name).rglob("*.sql"):
        file = (directory / dump.relative_to(HERE / name)).with_suffix(".sqlite3")
        file.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(file)) as connection:
            connection.executescript(dump.read_text(encoding="utf-8"))
            connection.execute("PRAGMA journal_mode = WAL")


def format_of(name: str) -> int:
    """The number of its format."""
    return int((HERE / name / "runtime.sql").read_text(encoding="utf-8").partition("user_version = ")[2].partition(";")[0])


if __name__ == "__main__":
    asyncio.run(live(Path(tempfile.mkdtemp()) / "data"))
