"""The book of namespaces, on rows that only remember."""

import cbor2
import pytest

from runtime import RateLimits
from runtime.errors import ActorError
from runtime.hosting.standalone import actor_names
from runtime.hosting.standalone.creation_limit import CreationLimit
from runtime.hosting.standalone.namespaces import TABLE, Namespace, NamespaceBook
from runtime.storage.base import HOST_SCOPE, Put
from runtime.storage.memory import MemoryStorage


class Rows:
    """Stands in for `WriteBehind`."""

    def __init__(self):
        self.saved, self.marked, self.forgotten, self.fault = [], [], [], None

    async def save(self, row):
        if self.fault is not None:
            raise self.fault
        self.saved.append(row)

    def mark(self, row):
        self.marked.append(row)

    def forget(self, row):
        self.forgotten.append(row)


async def stored(*rows):
    """A storage that holds the rows."""
    storage = MemoryStorage()
    await storage.open()
    await storage.commit(HOST_SCOPE, [op for row in rows for op in row.ops()])
    return storage


async def test_what_was_made_is_found_by_name_and_id():
    book = NamespaceBook(Rows())
    made = await book.create("one", "One")
    assert (book.get("one"), book.by_id(made.namespace_id), book.require("one")) == (made, made, made)
    assert await book.ensure("one") is made
    assert (await book.ensure("default")).display_name == "Default"
    assert len(list(book)) == 2


@pytest.mark.parametrize(("name", "display"), [("", "x"), ("A", "x"), ("-a", "x"), ("a" * 65, "x"), ("a", ""), ("a", "x" * 129)])
async def test_names_that_cannot_be(name, display):
    with pytest.raises(ActorError) as caught:
        await NamespaceBook(Rows()).create(name, display)
    assert caught.value.name == "namespace.failed_to_create"


async def test_a_name_is_taken_once_and_unknown_ones_are_not_found():
    book = NamespaceBook(Rows())
    await book.create("one", "One")
    with pytest.raises(ActorError, match="unique"):
        await book.create("one", "Again")
    with pytest.raises(ActorError) as caught:
        book.require("two")
    assert caught.value.name == "namespace.not_found"


async def test_one_that_could_not_be_written_does_not_exist():
    rows = Rows()
    rows.fault = OSError("disk full")
    book = NamespaceBook(rows)
    with pytest.raises(OSError, match="disk full"):
        await book.create("one", "One")
    assert (book.get("one"), list(book), len(rows.forgotten)) == (None, [], 1)


async def test_rows_survive_a_round():
    rows = Rows()
    namespace = Namespace("id", "one", "One", 7, {"p": {"default": {}}})
    for name in ("b", "a", "b"):
        NamespaceBook(rows).used(namespace, name, 5)
    assert len(rows.marked) == 2
    book = NamespaceBook(Rows())
    await book.load(await stored(namespace, *rows.marked))
    (again,) = book
    assert (again.name, again.create_ts, again.pools, again.names) == ("one", 7, {"p": {"default": {}}}, {"a", "b"})


async def test_a_new_name_writes_itself_and_not_the_others():
    rows, namespace = Rows(), Namespace("id", "one", "One", 7)
    book = NamespaceBook(rows)
    for number in range(1000):
        book.used(namespace, f"name-{number}", number)
    assert {len(row.ops()) for row in rows.marked} == {1}
    assert max(len(op.key) + len(op.value) for row in rows.marked for op in row.ops()) < 30


async def test_names_of_an_older_release_move_into_rows_of_their_own():
    old = [Put(TABLE, b"id", cbor2.dumps(["id", "one", "One", 7, {}, ["a", "b"]]))]
    storage = await stored()
    await storage.commit(HOST_SCOPE, old)
    for _ in range(2):
        book = NamespaceBook(Rows())
        await book.load(storage)
        assert book.get("one").names == {"a", "b"}
    assert cbor2.loads(await storage.get(HOST_SCOPE, TABLE, b"id"))[5] == []
    assert len(await storage.scan(HOST_SCOPE, actor_names.TABLE)) == 2


async def test_names_are_bounded_and_the_rows_of_forgotten_ones_go(monkeypatch):
    monkeypatch.setattr(actor_names, "MAX_NAMES", 3)
    rows, namespace = Rows(), Namespace("id", "one", "One", 7)
    book = NamespaceBook(rows)
    for at, name in enumerate(["used", "a", "b", "used", "c", "d", "x" * 1025, "é" * 513]):
        book.used(namespace, name, at)
    assert namespace.names == {"used", "c", "d"}
    book = NamespaceBook(Rows())
    await book.load(await stored(namespace, *rows.marked))
    assert book.get("one").names == {"used", "c", "d"}


async def test_pages_go_from_new_to_old_and_no_two_share_a_moment():
    book = NamespaceBook(Rows())
    made = [await book.create(f"n{number}", "N") for number in range(5)]
    names, before = [], None
    while page := book.newest(before, 2):
        names += [one.name for one in page]
        before = page[-1].create_ts
    assert names == [one.name for one in made[::-1]]


async def test_there_are_so_many_and_no_more(monkeypatch):
    monkeypatch.setattr("runtime.hosting.standalone.namespaces.MAX_NAMESPACES", 3)
    book = NamespaceBook(Rows(), CreationLimit(RateLimits(creation_burst=2, creation_interval=60)))
    await book.ensure("default")
    await book.create("a", "A")
    await book.create("b", "B")
    with pytest.raises(ActorError, match="too many namespaces"):
        await book.create("c", "C")
    monkeypatch.undo()
    with pytest.raises(ActorError, match="too many namespaces created at once"):
        await book.create("c", "C")
