"""A data directory of another release, of something else or with damage is refused with a sentence, and left as it was."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from runtime.storage.base import Put
from runtime.storage.data_directory import DamagedFileError, DataDirectoryError
from runtime.storage.sqlite import SQLiteStorage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILE = "runtime.sqlite3"


def sql(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def replace(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def in_its_place(path: Path) -> None:
    """What a process without permission meets; a test that runs as root meets no other."""
    path.unlink()
    path.mkdir()


def another_database(path: Path, *statements: str) -> None:
    path.unlink()
    sql(path, "CREATE TABLE bookmarks (url)", *statements)


def torn(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:100] + b"\x5a" * 3996 + content[4096:])


def lost_but(path: Path, left: str) -> None:
    path.unlink()
    (path.parent / "actors").mkdir()
    (path.parent / left).write_bytes(b"x")


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "newer": (lambda file: sql(file, "PRAGMA user_version = 3"), r"has format 3, and this release knows formats up to 2: .* use that one"),
    "empty": (lambda file: replace(file, b""), r"is empty and was left as it is; restore"),
    "text": (lambda file: replace(file, b"Dear diary,\n" * 900), r"is no SQLite database and was left as it is; restore"),
    "half": (lambda file: replace(file, file.read_bytes()[:6000]), r"runtime.sqlite3 is damaged \(.*malformed\); restore it from a backup"),
    "short": (lambda file: replace(file, file.read_bytes()[:50]), r"cannot be used|is damaged"),
    "torn": (torn, r"runtime.sqlite3 is damaged \(.*malformed\); restore it from a backup"),
    "a directory": (in_its_place, r"cannot be used \(Is a directory\); see that its disk has room and that this process may"),
    "another's, marked": (lambda file: sql(file, "PRAGMA application_id = 7"), "belongs to another program; name a data directory of"),
    "another's": (another_database, "is a database of another program; name a data directory"),
    "another's, numbered": (lambda file: another_database(file, "PRAGMA user_version = 1"), "is a database of another program; name a"),
    "lost, databases left": (lambda file: lost_but(file, "actors/a.sqlite3"), "has lost its file runtime.sqlite3, but actors is still"),
    "lost, log left": (lambda file: lost_but(file, f"{FILE}-wal"), f"has lost its file {FILE}, but {FILE}-wal is still there; restore"),
    "never had one": (lambda file: lost_but(file, "app.py"), r"is no data directory: it holds app.py; name one that is empty"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGE)
async def test_a_directory_that_cannot_be_used_is_refused_and_left_as_it_was(tmp_path: Path, kind: str) -> None:
    damage, sentence = DAMAGE[kind]
    storage = SQLiteStorage(tmp_path / "data")
    await storage.open()
    await storage.commit("a", [Put("t", bytes([n]), b"v" * 500) for n in range(20)])
    await storage.close()
    (tmp_path / "data" / "lock").unlink()
    before = (tmp_path / "data" / FILE).read_bytes()
    damage(tmp_path / "data" / FILE)
    damaged = contents(tmp_path)
    for _ in range(2):
        with pytest.raises((DataDirectoryError, DamagedFileError), match=sentence):
            await storage.open()
        assert contents(tmp_path) == damaged
    # What the sentence says helps: a copy from before.
    shutil.rmtree(tmp_path / "data")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / FILE).write_bytes(before)
    await storage.open()
    assert len(await storage.scan("a", "t")) == 20
    await storage.close()


def contents(directory: Path) -> dict[str, bytes]:
    """Every file but those that say who is looking: the lock, and what readers of a database share."""
    files = [path for path in directory.rglob("*") if path.is_file() and path.name != "lock" and not path.name.endswith("-shm")]
    return {str(path): content for path in files if (content := path.read_bytes()) or not path.name.endswith("-wal")}


async def test_a_file_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in ("file", "file/below"):
        with pytest.raises(DataDirectoryError, match=r"is a file, but actors are kept in a directory|cannot be used \(Not a directory\)"):
            await SQLiteStorage(tmp_path / place).open()


async def test_what_file_systems_and_a_start_cut_off_leave_is_no_hindrance(tmp_path: Path) -> None:
    for name in ("lost+found", "actors"):
        (tmp_path / name).mkdir()
    for name in (".gitkeep", f"{FILE}.new", "lock"):
        (tmp_path / name).write_bytes(b"SQLite")
    storage = SQLiteStorage(tmp_path)
    await storage.open()
    await storage.commit("a", [Put("t", b"k", b"v")])
    await storage.close()
    assert not (tmp_path / f"{FILE}.new").exists()


class Full(sqlite3.Connection):
    """A disk without room."""

    def execute(self, sql: str, *args: object) -> sqlite3.Cursor:
        if sql.startswith(("CREATE", "\n    CREATE")):
            raise sqlite3.OperationalError("database or disk is full")
        return super().execute(sql, *args)  # type: ignore[arg-type]


async def test_a_full_disk_refuses_the_start_and_leaves_nothing_half_made(tmp_path: Path) -> None:
    with pytest.raises(DataDirectoryError, match=r"cannot be used \(database or disk is full\); see that its disk has room"):
        await SQLiteStorage(tmp_path, connection_class=Full).open()
    storage = SQLiteStorage(tmp_path)
    await storage.open()
    await storage.close()


async def test_freed_pages_of_a_new_directory_can_be_given_back(tmp_path: Path) -> None:
    storage = SQLiteStorage(tmp_path)
    await storage.open()
    assert await storage._read("PRAGMA auto_vacuum", ()) == [(2,)]
    assert await storage._read("PRAGMA journal_mode", ()) == [("wal",)]
    await storage.close()
