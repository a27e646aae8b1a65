"""A damaged file costs the actor it belongs to, with an error and a line in the log that say so, and never the host."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

import httpx
import pytest
from structlog.testing import capture_logs

from runtime import Actor, HostOptions, Options, Registry, SQLiteStorage, action, create_app, raw_database
from runtime.storage.data_directory import DamagedFileError, DataDirectoryError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

PAGE = 4096
ADMIN = {"authorization": "Bearer admin"}


class Plain(Actor):
    name = "plain"
    state = {"n": 0}
    options = Options(state_save_interval=0.01)

    @action
    def add(self, c):
        c.state.n += 1
        return c.state.n


class Kept(Actor):
    name = "kept"
    state = {"n": 0}
    database = raw_database(on_migrate=lambda db: db.execute("CREATE TABLE IF NOT EXISTS t (n INTEGER, more BLOB)"))

    @action
    async def add(self, c):
        c.state.n += 1
        await c.db.execute("INSERT INTO t VALUES (?, zeroblob(3000))", c.state.n)
        return (await c.db.execute("SELECT count(*) AS n FROM t"))[0]["n"]


@contextlib.asynccontextmanager
async def hosted(directory: Path, connection_class: type[sqlite3.Connection] = sqlite3.Connection) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(
        Registry(Plain, Kept), storage=SQLiteStorage(directory, connection_class=connection_class), options=HostOptions(admin_token="admin")
    )
    async with app.running(), httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as http:
        yield http


async def made(http: httpx.AsyncClient, name: str, key: str) -> str:
    body = {"name": name, "key": key, "runner_name_selector": "default", "crash_policy": "sleep"}
    answer = await http.put("/actors", params={"namespace": "default"}, json=body, headers=ADMIN)
    return str(answer.json()["actor"]["actor_id"])


async def added(http: httpx.AsyncClient, actor: str) -> int | str:
    """What the action gave, or the group and the code of its error."""
    answer = await http.post(f"/gateway/{actor}/action/add", json={"args": []}, headers={"x-rivet-encoding": "json"})
    body = answer.json()
    return int(body["output"]) if answer.status_code == 200 else f"{body['group']}.{body['code']}"


async def life(directory: Path) -> list[str]:
    """Two actors with a database and two without, each with three additions."""
    async with hosted(directory) as http:
        actors = [await made(http, name, key) for name in ("kept", "plain") for key in "ab"]
        for actor in actors:
            assert [await added(http, actor) for _ in range(3)] == [1, 2, 3]
    return actors


def in_its_place(file: Path) -> None:
    file.unlink()
    file.mkdir()


def torn(file: Path, page: int) -> None:
    with file.open("r+b") as opened:
        opened.seek(page * PAGE + (100 if page == 0 else 0))
        opened.write(b"\x5a" * (PAGE - 100))


def only_its_log(file: Path) -> None:
    file.with_name(f"{file.name}-wal").write_bytes(file.read_bytes())
    file.unlink()


def forget_log(file: Path) -> None:
    for rest in file.parent.glob(f"{file.name}-*"):
        rest.unlink()


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda file: file.write_bytes(b""), "is empty; restore it"),
    "text": (lambda file: file.write_bytes(b"Dear diary,\n" * 900), "is no SQLite database; restore it"),
    "half": (lambda file: file.write_bytes(file.read_bytes()[: 2 * PAGE]), "malformed); restore it"),
    "torn": (lambda file: torn(file, 0), "malformed); restore it"),
    "a directory": (in_its_place, "Is a directory"),
    "gone": (lambda file: file.unlink(), "the database of the actor is missing; restore it"),
    "only its log": (only_its_log, "the database of the actor is missing"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGE)
async def test_a_damaged_database_costs_its_actor(tmp_path: Path, kind: str) -> None:
    damage, sentence = DAMAGE[kind]
    actors = await life(tmp_path)
    damage(tmp_path / "actors" / f"{actors[0]}.sqlite3")
    before = {path: path.is_file() and path.read_bytes() for path in (tmp_path / "actors").iterdir() if actors[0] in path.name}
    with capture_logs() as logs:
        async with hosted(tmp_path) as http:
            assert await added(http, actors[0]) == "guard.actor_wake_retries_exceeded"
            assert [await added(http, actor) for actor in actors[1:]] == [4, 4, 4]
            shown = (await http.get("/actors", params={"namespace": "default", "actor_ids": actors[0]})).json()["actors"][0]
            assert sentence in shown["error"]["crashed"]["message"]
            assert {path: path.is_file() and path.read_bytes() for path in before} == before
            if kind != "a directory":
                # Who has no copy may give the actor up, like any other.
                assert (await http.delete(f"/actors/{actors[0]}", params={"namespace": "default"}, headers=ADMIN)).status_code == 200
    assert any(entry["event"] == "actor start failed" and sentence in entry["error"] for entry in logs)
    async with hosted(tmp_path) as http:
        assert [await added(http, actor) for actor in actors[1:]] == [5, 5, 5]


async def test_every_page_of_a_database_may_be_damaged(tmp_path: Path) -> None:
    actors = await life(tmp_path)
    file = tmp_path / "actors" / f"{actors[0]}.sqlite3"
    whole, outcomes = file.read_bytes(), []
    for page in range(len(whole) // PAGE):
        file.write_bytes(whole)
        torn(file, page)
        async with hosted(tmp_path) as http:
            outcomes.append(await added(http, actors[0]))
            assert await added(http, actors[1]) == 4 + page
        forget_log(file)
    assert {outcome for outcome in outcomes if outcome != 4} == {"guard.actor_wake_retries_exceeded", "core.internal_error"}


async def test_every_page_of_the_hosts_file_may_be_damaged(tmp_path: Path) -> None:
    actors = await life(tmp_path)
    file = tmp_path / "runtime.sqlite3"
    whole, refused = file.read_bytes(), 0
    for page in range(len(whole) // PAGE):
        file.write_bytes(whole)
        torn(file, page)
        try:
            async with hosted(tmp_path) as http:
                for actor in actors:
                    found = await added(http, actor)
                    assert isinstance(found, str) or found > 3
        except (DamagedFileError, DataDirectoryError) as error:
            assert "restore it from a backup" in str(error)  # noqa: PT017 - some pages are those of actors, and it starts
            refused += 1
        forget_log(file)
    file.write_bytes(whole)
    assert refused
    async with hosted(tmp_path) as http:
        assert [await added(http, actor) for actor in actors[2:]] == [4, 4]


class Full(sqlite3.Connection):
    """A disk without room for one more database."""

    def execute(self, sql: str, *args: object) -> sqlite3.Cursor:
        if sql.startswith("CREATE TABLE IF NOT EXISTS _rivet_meta"):
            raise sqlite3.OperationalError("database or disk is full")
        return super().execute(sql, *args)  # type: ignore[arg-type]


async def test_a_disk_that_is_full_at_the_opening_costs_the_start(tmp_path: Path) -> None:
    async with hosted(tmp_path, Full) as http:
        actor, other = await made(http, "kept", "a"), await made(http, "plain", "a")
        assert await added(http, actor) == "guard.actor_wake_retries_exceeded"
        assert await added(http, other) == 1
    async with hosted(tmp_path) as http:
        assert await added(http, actor) == 1
