"""Databases on pages of an engine against plain SQLite, through failures of the link, fences and limits."""

import random
import sqlite3

import pytest

from runtime.actor.database.connection import connect
from runtime.actor.database.handles.page_limit import CommitTooLargeError
from runtime.hosting.engine.protocol.pages import Refused
from runtime.hosting.engine.storage.errors import FencedError, PagesError
from runtime.hosting.engine.storage.page_cache import PageBudget, PageCache
from runtime.hosting.engine.storage.page_file import MOST_AHEAD, PAGE, PageFile
from runtime.hosting.engine.storage.vfs import VFS
from tests.runtime.hosting.engine.fake_pages import FakePages
from tests.runtime.hosting.engine.support import opened

ROWS = "SELECT id, v FROM t ORDER BY id"
BUSY = Refused("core", "internal_error", "something else")


@pytest.fixture
def pages():
    return FakePages()


@pytest.fixture
def connection(pages):
    connection = opened(pages)
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    yield connection
    connection.close()


def durable(pages, sql=ROWS):
    """What the next one who opens it finds."""
    connection = opened(pages)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def steps(dice, at_most=40):
    """Statements of random transactions."""
    for _ in range(at_most):
        size = dice.choice((10, 100, 3000, 9000, 60_000))
        some = dice.randrange(30)
        yield dice.choice(
            (
                f"INSERT INTO t (v) VALUES (zeroblob({size}))", f"INSERT INTO t (v) SELECT hex({some}) || v FROM t LIMIT 5",
                f"UPDATE t SET v = zeroblob({size}) WHERE id % 30 = {some}", f"DELETE FROM t WHERE id % 30 >= {some}",
                f"UPDATE t SET v = {some}", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT s", "ROLLBACK TO s", "RELEASE s", "VACUUM",
                f"CREATE INDEX IF NOT EXISTS i{some % 3} ON t (v)", f"DROP INDEX IF EXISTS i{some % 3}",
                f"INSERT INTO t (id, v) VALUES ({some}, 'again')", f"INSERT OR ROLLBACK INTO t (id, v) VALUES ({some}, 'all')",
            )
        )  # fmt: skip


@pytest.mark.parametrize("seed", range(30))
def test_random_transactions(pages, seed):
    dice = random.Random(seed)
    real, ours = connect("file::memory:", "off"), opened(pages, budget=PageBudget(dice.choice((0, 50_000)), dice.choice((3, 256))))
    for connection in (real, ours):
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
        connection.execute(f"PRAGMA auto_vacuum = {seed % 3}")
        connection.execute("VACUUM")
    ours.execute(f"PRAGMA cache_size = {dice.choice((2, 10, 330))}")
    for sql in steps(dice):
        outcomes = []
        for connection in (real, ours):
            try:
                outcomes.append((connection.execute(sql).fetchall(), connection.in_transaction))
            except sqlite3.Error as error:
                outcomes.append((str(error), connection.in_transaction))
        assert outcomes[0] == outcomes[1], sql
        assert real.execute(ROWS).fetchall() == ours.execute(ROWS).fetchall(), sql
        if not real.in_transaction:
            assert durable(pages) == real.execute(ROWS).fetchall(), sql
    ours.close()
    if real.in_transaction:
        real.rollback()
    assert durable(pages) == real.execute(ROWS).fetchall()
    real.close()


@pytest.mark.parametrize("seed", range(20))
def test_acknowledged_is_stored_once_through_failures_of_the_link(pages, connection, seed):
    dice = random.Random(seed)
    expected = []
    for number in range(25):
        # At most four: the fifth answer that is lost ends the generation.
        pages.failures["commit"].extend(dice.choices(("before", "after", "late", None), k=dice.randrange(5)))
        connection.execute("INSERT INTO t VALUES (?, zeroblob(5000))", (number,))
        expected.append((number,))
        pages.failures["commit"].clear()
    assert connection.execute("SELECT id FROM t").fetchall() == expected
    assert durable(pages, "SELECT id FROM t") == expected


def test_what_does_not_change_pages_is_no_commit(pages, connection):
    connection.execute("INSERT INTO t VALUES (1, 1)")
    before = len(pages.committed)
    for sql in ("SELECT * FROM t", "BEGIN", "COMMIT", "DELETE FROM t WHERE id = 9"):
        connection.execute(sql).fetchall()
    assert len(pages.committed) == before
    connection.execute("INSERT INTO t VALUES (2, 2)")
    assert [page.number for page in pages.committed[-1].pages] == [2]
    assert pages.committed[-1].now_ms > 1_700_000_000_000
    for sql in ("BEGIN", "INSERT INTO t VALUES (3, 3)", "ROLLBACK"):
        connection.execute(sql)
    assert len(pages.committed) == before + 1


def test_a_rollback_of_what_was_written_early_is_no_commit(pages):
    connection = opened(pages, budget=PageBudget(0, 4))
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    connection.execute("INSERT INTO t VALUES (1, zeroblob(200000))")
    connection.execute("PRAGMA cache_size = 2")
    before, heads = len(pages.committed), dict(pages.heads)
    connection.execute("BEGIN")
    connection.execute("UPDATE t SET v = randomblob(200000)")
    connection.execute("INSERT INTO t VALUES (2, zeroblob(400000))")
    connection.execute("ROLLBACK")
    assert (len(pages.committed), pages.heads) == (before, heads)
    assert connection.execute("SELECT id, length(v) FROM t WHERE v = zeroblob(200000)").fetchall() == [(1, 200000)]
    connection.close()


@pytest.mark.parametrize("cache", [2, 330, 4000])
def test_a_commit_of_more_than_320_pages(pages, connection, cache):
    connection.execute(f"PRAGMA cache_size = {cache}")
    connection.execute("INSERT INTO t VALUES (1, 'before')")
    for size in (330, 3000, 4000):
        for sql in (f"INSERT INTO t VALUES (2, zeroblob({size * 4096}))", f"UPDATE t SET v = zeroblob({size * 4096})"):
            with pytest.raises(CommitTooLargeError, match="disk I/O error: one commit may hold 320 changed pages of 4096 bytes"):
                connection.execute(sql)
            assert not connection.in_transaction
            connection.execute("BEGIN")
            with pytest.raises(CommitTooLargeError):
                connection.execute(sql)
                connection.execute("COMMIT")
            assert not connection.in_transaction
            connection.execute("SAVEPOINT s")
            with pytest.raises(CommitTooLargeError):
                connection.execute(sql)
                connection.execute("RELEASE s")
            assert not connection.in_transaction
            assert connection.execute(ROWS).fetchall() == [(1, "before")]
    assert max(len(commit.pages) for commit in pages.committed) <= 320
    connection.execute("INSERT INTO t VALUES (3, zeroblob(?))", (310 * 4096,))
    assert durable(pages, "SELECT id FROM t") == [(1,), (3,)]


def test_an_engine_that_takes_less_is_the_same_error(pages, connection):
    pages.failures["commit"].append(Refused("depot", "commit_too_large", "commit is too large"))
    with pytest.raises(CommitTooLargeError):
        connection.execute("INSERT INTO t VALUES (1, 1)")
    connection.execute("INSERT INTO t VALUES (2, 2)")
    assert durable(pages) == [(2, 2)]


def test_a_refused_commit_is_rolled_back_and_others_pass(pages, connection):
    for end in ("COMMIT", "RELEASE s"):
        connection.execute("BEGIN" if end == "COMMIT" else "SAVEPOINT s")
        connection.execute("INSERT INTO t VALUES (1, 1)")
        pages.failures["commit"].append(BUSY)
        with pytest.raises(PagesError, match=r"disk I/O error: core\.internal_error: something else"):
            connection.execute(end)
        assert not connection.in_transaction
    connection.execute("INSERT INTO t VALUES (2, 2)")
    assert connection.execute(ROWS).fetchall() == durable(pages) == [(2, 2)]


def test_an_error_of_the_engine_behind_the_commit_is_a_commit(pages, connection):
    apply, pages._apply = pages._apply, lambda commit: apply(commit) and 1 / 0
    commit = pages.commit_pages

    def erring(wanted):
        try:
            return commit(wanted)
        except ZeroDivisionError:
            from runtime.hosting.engine.ports import RefusedError

            raise RefusedError(BUSY) from None

    pages.commit_pages = erring
    connection.execute("INSERT INTO t VALUES (1, 1)")
    connection.execute("INSERT INTO t VALUES (2, 2)")
    assert durable(pages) == [(1, 1), (2, 2)]


@pytest.mark.parametrize(
    ("when", "commit", "get"),
    [
        ("the answer of the head is lost, too", ["before"], ["lost"]),
        ("the head is refused", ["after"], [BUSY]),
        ("five answers were lost", ["before"] * 5, []),
    ],
)
def test_a_commit_that_nobody_knows_of_ends_the_generation(pages, when, commit, get):
    deaths = []
    connection = opened(pages, on_dead=deaths.append)
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    pages.failures["commit"].extend(commit)
    pages.failures["get"].extend(get)
    with pytest.raises(FencedError):
        connection.execute("INSERT INTO t VALUES (1, 1)")
    for sql in ("SELECT * FROM t", "INSERT INTO t VALUES (2, 2)"):
        with pytest.raises(FencedError):
            connection.execute(sql)
    assert len(deaths) == 1
    connection.close()


@pytest.mark.parametrize(
    "refused", [Refused("core", "internal_error", "actor does not exist"), Refused("depot", "head_fence_mismatch", "head is 7")]
)
def test_a_fence_ends_the_generation(pages, refused):
    deaths = []
    connection = opened(pages, on_dead=deaths.append)
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    connection.execute("BEGIN")
    connection.execute("INSERT INTO t VALUES (1, 1)")
    pages.failures["commit"].append(refused)
    with pytest.raises(FencedError, match="disk I/O error: the actor belongs to another generation"):
        connection.execute("COMMIT")
    assert not connection.in_transaction
    connection.rollback()
    with pytest.raises(FencedError):
        connection.execute("BEGIN")
    assert len(deaths) == 1
    connection.close()
    assert durable(pages) == []


def test_a_commit_of_somebody_else_is_not_taken_for_an_own_one(pages, connection):
    pages.heads["a"] += 1000
    with pytest.raises(FencedError, match="head_fence_mismatch"):
        connection.execute("INSERT INTO t VALUES (1, 1)")


def test_a_death_ends_the_open_transaction(pages, connection):
    connection.execute("INSERT INTO t VALUES (1, zeroblob(900000))")
    connection.close()
    again = opened(pages)
    again.execute("BEGIN")
    again.execute("INSERT INTO t VALUES (2, 2)")
    pages.generations["a"] = 2
    with pytest.raises(FencedError):
        again.execute("SELECT sum(length(hex(v))) FROM t").fetchall()
    assert not again.in_transaction
    again.rollback()
    with pytest.raises(FencedError):
        again.execute("ROLLBACK")
    again.close()


def test_a_read_that_is_lost_fails_its_statement_alone(pages, connection):
    connection.execute("INSERT INTO t VALUES (1, zeroblob(900000))")
    again = opened(pages)
    pages.failures["get"].append("lost")
    with pytest.raises(PagesError, match="disk I/O error: the engine did not answer"):
        again.execute("SELECT v FROM t").fetchall()
    assert len(again.execute("SELECT v FROM t").fetchone()[0]) == 900000
    again.close()


def test_a_new_database_whose_first_commit_is_lost(pages):
    for failure in ("before", "after", "late"):
        pages.failures["commit"].append(failure)
        connection = opened(pages, actor_id=failure)
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
        connection.close()
        again = opened(pages, actor_id=failure)
        assert again.execute(ROWS).fetchall() == []
        again.close()


def test_a_database_that_cannot_be_read_is_not_a_new_one(pages, connection):
    for failure in ("lost", BUSY):
        pages.failures["get"].append(failure)
        with pytest.raises(PagesError):
            opened(pages)


def test_pages_are_read_64_at_a_time_and_kept(pages, connection):
    connection.execute("INSERT INTO t VALUES (1, zeroblob(900000))")
    again = opened(pages)
    for _ in range(2):
        again.execute("SELECT v FROM t").fetchall()
    assert [(asked.numbers[0], len(asked.numbers), asked.head is None) for asked in pages.asked[1:]] == [
        (1, 64, True), (65, 64, False), (129, 64, False), (193, pages.sizes["a"] - 192, False),
    ]  # fmt: skip
    again.close()


def test_a_refused_change_of_all_pages_leaves_them(pages):
    connection = opened(pages, budget=PageBudget(0, 4))
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    for number in range(10):
        connection.execute("INSERT INTO t VALUES (?, zeroblob(?))", (number, 300 * PAGE))
    connection.execute("PRAGMA cache_size = 10")
    for sql in ("UPDATE t SET v = randomblob(length(v))", "INSERT INTO t SELECT id + 10, v FROM t"):
        with pytest.raises(CommitTooLargeError):
            connection.execute(sql)
        assert not connection.in_transaction
        assert connection.execute("SELECT count(*) FROM t WHERE v = zeroblob(?)", (300 * PAGE,)).fetchall() == [(10,)]
    connection.execute("DELETE FROM t WHERE id = 3")
    assert durable(pages, "SELECT count(*) FROM t") == [(9,)]
    connection.close()


@pytest.fixture
def file(pages):
    """One without SQLite, of ten pages, that keeps two."""
    file = PageFile(pages, "a", 1, PageBudget(0, 2))
    file.open()
    file.write(b"".join(page(number) for number in range(1, 11)), 0)
    file.sync()
    return file


def page(number):
    return bytes([number]) * 28 + (10).to_bytes(4, "big") + bytes(PAGE - 32)


def test_the_old_content_of_a_page_that_was_dropped_is_no_change(pages, file):
    file.read(PAGE, 5 * PAGE)
    file._clean.clear()
    file.write(page(3), 2 * PAGE)
    file.sync()
    assert len(pages.committed) == 1
    file._clean.clear()
    file.write(page(3), 2 * PAGE)
    file.write(page(99), 3 * PAGE)
    file.sync()
    assert [[found.number for found in commit.pages] for commit in pages.committed[1:]] == [[4]]


def test_parts_of_pages_and_the_end(file):
    assert file.read(PAGE, 10 * PAGE) == b""
    assert file.read(16, 24) == page(1)[24:40]
    assert file.read(2 * PAGE, PAGE) == page(2) + page(3)
    assert file.read(2 * PAGE, 9 * PAGE) == page(10)
    file.write(b"xyz", PAGE - 1)
    assert file.read(4, PAGE - 2) == page(1)[-2:-1] + b"xyz"


def test_what_was_cut_off_reads_as_nothing_when_it_is_there_again(pages, file):
    file.read(PAGE, 6 * PAGE)
    file.truncate(5 * PAGE)
    file.sync()
    file.write(page(9), 8 * PAGE)
    file.sync()
    assert (pages.sizes["a"], file.read(PAGE, 6 * PAGE), file.read(PAGE, 8 * PAGE)) == (9, bytes(PAGE), page(9))


def test_changes_are_held_within_bounds_and_dropped_as_a_whole(pages, file):
    with pytest.raises(CommitTooLargeError):
        for number in range(MOST_AHEAD + 1):
            file.write(page(1 + number % 250), (20 + number) * PAGE)
    assert (file.size, file.undone) == (10, True)
    file.sync()
    assert len(pages.committed) == 1
    file.truncate(8 * PAGE)
    pages.failures["commit"].append(BUSY)
    with pytest.raises(PagesError):
        file.sync()
    assert (file.size, pages.sizes["a"]) == (10, 10)


def test_a_closed_one_leaves_nothing(pages):
    budget, files = PageBudget(), len(VFS._files)
    connection = opened(pages, budget=budget)
    connection.execute("CREATE TABLE t (a)")
    assert budget.used
    connection.close()
    pages.failures["get"].append(BUSY)
    with pytest.raises(PagesError):
        opened(pages, budget=budget)
    assert (budget.used, len(VFS._files)) == (0, files)


def test_the_budget_is_shared_and_given_back(pages):
    budget = PageBudget(10, 2)
    first, second = PageCache(budget), PageCache(budget)
    first.put(dict.fromkeys(range(8), b""))
    assert first.get(0) == b""
    second.put(dict.fromkeys(range(8), b""))
    assert (len(first), len(second), budget.used) == (8, 8, 16)
    second.put({9: b""})
    assert (len(second), 7 in second, 9 in second) == (2, True, True)
    first.put({9: b""})
    assert 0 in first
    assert 1 not in first
    for cache in (first, second):
        cache.clear()
    assert budget.used == 0
