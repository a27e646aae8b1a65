"""The book of namespaces, on rows that only remember."""

import pytest

from runtime.errors import ActorError
from runtime.hosting.standalone.namespaces import TABLE, Namespace, NamespaceBook


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


class Stored:
    def __init__(self, *namespaces):
        self._rows = [(op.key, op.value) for namespace in namespaces for op in namespace.ops()]

    async def scan(self, scope, table):
        assert table == TABLE
        return self._rows


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
    namespace = Namespace("id", "one", "One", 7, {"p": {"default": {}}}, {"b", "a"})
    book = NamespaceBook(Rows())
    await book.load(Stored(namespace))
    (again,) = book
    assert (again.name, again.create_ts, again.pools, again.names) == ("one", 7, {"p": {"default": {}}}, {"a", "b"})
