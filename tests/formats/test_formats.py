"""A data directory of every format there has been is opened by this release, and everything is found in it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from client import Client
from runtime import HostOptions, InProcessServer, Registry, create_app
from runtime.storage.sqlite import SCHEMA
from tests.formats import make
from tests.formats.actors import KINDS

if TYPE_CHECKING:
    from pathlib import Path

FORMATS = sorted(place.name for place in make.HERE.iterdir() if (place / "runtime.sql").exists())
FOUND = {
    "n": 41, "text": "given", "color": "green", "bytes": b"\x01\x02", "jobs": [3, 4], "at": ["ring"], "cron": ["often", "yearly"],
    "history": True,
}  # fmt: skip


async def everything_is_found(directory: Path, *, again: bool = False) -> None:
    app = create_app(Registry(*KINDS), storage=directory, options=HostOptions())
    async with InProcessServer(app) as server, Client(server.url, encoding="bare") as client:
        # The messages are taken by who looks.
        expected = FOUND | ({"jobs": []} if again else {})
        counter, stored = (client.get("counter", ["a", "b/c"]), client.get("stored", ["a", "b/c"]))
        assert await counter.found() == expected
        assert await stored.found() == expected
        assert await stored.words() == ["alpha", "omega"]
        assert await client.get("order", ["a"]).status() == {"charged": 1, "receipt": 7, "tries": 0}
        # Its client was not there any more when the directory was opened.
        assert await client.get("room", ["a"]).left() == ["ann"]


@pytest.mark.parametrize("name", FORMATS)
async def test_everything_is_found(tmp_path: Path, name: str) -> None:
    make.build(name, tmp_path)
    await everything_is_found(tmp_path)
    await everything_is_found(tmp_path, again=True)
    with closing(sqlite3.connect(tmp_path / "runtime.sqlite3")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(SCHEMA),)


async def test_rows_that_moved_outlast_a_power_cut(tmp_path: Path) -> None:
    make.build("indexed", tmp_path)
    app = create_app(Registry(*KINDS), storage=tmp_path, options=HostOptions())
    async with InProcessServer(app) as server, Client(server.url) as client:
        actor = await client.get("stored", ["a", "b/c"]).resolve()
        assert await client.get("stored", ["a", "b/c"]).words() == ["alpha", "omega"]
        # Without its log, as it may be found then.
        (tmp_path / "found").write_bytes((tmp_path / "actors" / f"{actor}.sqlite3").read_bytes())
    with closing(sqlite3.connect(tmp_path / "found")) as connection:
        assert connection.execute("SELECT count(*) FROM _rivet_user_kv").fetchone() == (2,)
        assert connection.execute("SELECT count(*) FROM _rivet_queue").fetchone() == (2,)


def test_there_is_a_directory_of_every_format() -> None:
    assert {make.format_of(name) for name in FORMATS} == set(range(1, len(SCHEMA) + 1))
