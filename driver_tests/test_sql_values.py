"""Suite sql-values: what is bound to a statement and what its rows hold."""

from __future__ import annotations

import pytest

from driver_tests.storing import attempt, column, error_of, octets, plain_error, raw, sql
from harness import any_encoding, depends_on, requirement, suite
from harness.testing.interpreter import made, op, play

pytestmark = [suite("sql-values"), any_encoding, depends_on("sql-values::test_types(positional)")]

TABLE = sql("CREATE TABLE t (x)")


def whole(number):
    """An integer of any size in a program."""
    return {"$int": str(number)}


def actor_of(conform):
    """The actor with a database."""
    return made(conform, "interpreterDb")


VALUES = [
    (None, "null", None), (0, "integer", 0), (1, "integer", 1), (-5, "integer", -5),
    (2**53 - 1, "integer", 2**53 - 1), (1 - 2**53, "integer", 1 - 2**53),
    (1.5, "real", 1.5), (-0.25, "real", -0.25), (1e-300, "real", 1e-300),
    ("", "text", ""), ("0", "text", "0"), ("1.5", "text", "1.5"), ("ä\0😀", "text", "ä\0😀"),
    (raw(b"\0\xff1"), "blob", b"\0\xff1"), (raw(b"1"), "blob", b"1"), (raw(b""), "blob", b""),
    ({"$float": "NaN"}, "null", None),
]  # fmt: skip
"""A value as it is bound, the type of what is stored, and what comes back."""


@requirement("DB-116", "DB-120", "DB-127")
@pytest.mark.parametrize("named", [False, True], ids=["positional", "named"])
async def test_types(conform, named):
    """Each value is stored with its own type and comes back as it was; not a number is NULL."""
    actor = actor_of(conform)
    text = "INSERT INTO t VALUES (:x)" if named else "INSERT INTO t VALUES (?)"
    await play(actor, TABLE, *(op("sql", sql=text, args={"x": value} if named else [value]) for value, _, _ in VALUES))
    assert await column(actor, "SELECT typeof(x) FROM t ORDER BY rowid") == [kind for _, kind, _ in VALUES]
    found = await column(actor, "SELECT x FROM t ORDER BY rowid")
    for seen, (_, kind, expected) in zip(found, VALUES, strict=True):
        value = octets(seen) if kind == "blob" else seen
        assert value == expected
        # JSON has one kind of number.
        assert type(value) is type(expected) or (kind == "integer" and not isinstance(value, bool))


@requirement("DB-120")
@pytest.mark.parametrize("number", [2**53, 2**53 + 1, 2**63 - 1, -(2**63), -(2**53) - 1], ids=str)
async def test_large_integers_are_bound_exactly(conform, number):
    """An integer of the signed 64-bit range is bound as it is, also beyond what a double holds."""
    actor = actor_of(conform)
    assert await play(actor, sql("SELECT typeof(?1) AS kind, CAST(?1 AS TEXT) AS text", whole(number))) == [
        {"kind": "integer", "text": str(number)}
    ]


@requirement("DB-127")
async def test_large_integers_of_rows(conform):
    """Integers of rows are exact up to the ends of the signed 64-bit range."""
    actor = actor_of(conform)
    found = await column(actor, "SELECT 9223372036854775807 UNION ALL SELECT -9223372036854775808 UNION ALL SELECT 9007199254740993")
    assert found == [2**63 - 1, -(2**63), 2**53 + 1]


@requirement("DB-110")
async def test_positional_values(conform):
    """Values go to their placeholders, first to first; a numbered placeholder may be used again."""
    actor = actor_of(conform)
    found = await play(actor, sql("SELECT ? AS a, ? AS b, ? AS c, '?' AS d", 1, "two", None))
    assert found == [{"a": 1, "b": "two", "c": None, "d": "?"}]
    assert await play(actor, sql("SELECT ?2 AS a, ?1 AS b, ?2 AS c", 1, "two")) == [{"a": "two", "b": 1, "c": "two"}]
    await play(actor, TABLE, sql("INSERT INTO t VALUES (?), (?), (?)", 3, 1, 2))
    assert await column(actor, "SELECT x FROM t WHERE x > ? AND x < ? ORDER BY x", 1, 3) == [2]


@requirement("DB-111", "DB-114")
@pytest.mark.parametrize("sigil", [":", "@", "$"])
async def test_named_values(conform, sigil):
    """A map binds by name, with or without the sigil; one value serves every use, and values nobody asks for are ignored."""
    actor = actor_of(conform)
    text = f"SELECT {sigil}a AS a, {sigil}b AS b, {sigil}a AS again"
    for values in ({"b": None, "a": 0, "c": 9}, {f"{sigil}a": 0, f"{sigil}b": None, "unused": "x"}):
        assert await play(actor, op("sql", sql=text, args=values)) == [{"a": 0, "b": None, "again": 0}]


@requirement("DB-112")
@pytest.mark.parametrize("sigil", [":", "@", "$"])
async def test_names_are_looked_up_in_order(conform, sigil):
    """The key with the parameter's own sigil comes first, then the bare name, then `:`, `@`, `$`."""
    actor = actor_of(conform)
    order = [f"{sigil}x", "x", *(f"{other}x" for other in ":@$" if other != sigil)]
    for first in range(len(order)):
        # Last in the map, so that the order of the keys does not decide.
        values = {key: order.index(key) for key in reversed(order[first:])}
        assert await play(actor, op("sql", sql=f"SELECT {sigil}x AS x", args=values)) == [{"x": first}]


@requirement("DB-113")
@pytest.mark.parametrize("values", [{"a": 1}, {"a": 1, "B": 2}, {}], ids=repr)
async def test_a_name_without_a_value(conform, values):
    """A parameter that the map does not have is a plain error that names it, and nothing is run."""
    actor = actor_of(conform)
    await play(actor, sql("CREATE TABLE t (x, y)"))
    step = op("sql", sql="INSERT INTO t VALUES (:a, :b)", args=values or {"c": 1})
    assert plain_error(await play(actor, attempt(step))) == f"missing bind parameter: {':b' if values else ':a'}"
    assert await column(actor, "SELECT count(*) FROM t") == [0]


@requirement("DB-115")
async def test_a_map_for_positional_placeholders(conform):
    """Without named parameters the values of a map are bound in the order of its keys, as these compare."""
    actor = actor_of(conform)
    step = op("sql", sql="SELECT ? AS p, ? AS q, ? AS r", args={"z": 1, "a": 2, "m": 3})
    assert await play(actor, step) == [{"p": 2, "q": 3, "r": 1}]


@requirement("DB-117")
@pytest.mark.parametrize(
    "values",
    [[True], [False], [1, [2]], [1, {"a": 2}], [{"$undefined": True}], [1, {"$undefined": True}], [{"$date": 1}], [1, {"$date": 1}]],
    ids=["true", "false", "list", "map", "undefined", "second-undefined", "date", "second-date"],
)
async def test_values_that_are_refused(conform, values):
    """Booleans, dates, lists, maps and undefined are no SQL values: the call is refused and nothing is run."""
    actor = actor_of(conform)
    await play(actor, sql("CREATE TABLE t (x, y)"))
    text = "INSERT INTO t (x) VALUES (?)" if len(values) == 1 else "INSERT INTO t VALUES (?, ?)"
    assert plain_error(await play(actor, attempt(op("sql", sql=text, args=values)))).startswith("unsupported ")
    assert await column(actor, "SELECT count(*) FROM t") == [0]


@requirement("DB-117")
@pytest.mark.parametrize("values", [{"a": True}, {"a": [1]}, {"a": {"$undefined": True}}], ids=["boolean", "list", "undefined"])
async def test_values_of_a_map_that_are_refused(conform, values):
    """The same holds for what a map holds."""
    actor = actor_of(conform)
    await play(actor, TABLE)
    error_of(await play(actor, attempt(op("sql", sql="INSERT INTO t VALUES (:a)", args=values))))
    assert await column(actor, "SELECT count(*) FROM t") == [0]


@requirement("DB-117")
@pytest.mark.parametrize("values", [[1, 2], []], ids=repr)
async def test_one_list_is_no_list_of_values(conform, values):
    """One list as the only argument is refused."""
    actor = actor_of(conform)
    await play(actor, TABLE)
    step = op("sql", sql="INSERT INTO t VALUES (?)", args=[values])
    assert plain_error(await play(actor, attempt(step))) == "unsupported bind parameter type: object"
    assert await column(actor, "SELECT count(*) FROM t") == [0]


@requirement("DB-118")
async def test_fewer_and_more_values(conform):
    """Placeholders without a value are NULL; a value without a placeholder is an error, and nothing is run."""
    actor = actor_of(conform)
    await play(actor, sql("CREATE TABLE t (x, y)"))
    assert await play(actor, sql("SELECT ? AS a, ? AS b, ? AS c", 1)) == [{"a": 1, "b": None, "c": None}]
    assert await play(actor, sql("SELECT ? AS a")) == [{"a": None}]
    assert await play(actor, sql("SELECT :a AS a")) == [{"a": None}]
    for text, values in (
        ("INSERT INTO t VALUES (?, ?)", [1, 2, 3]),
        ("INSERT INTO t VALUES (1, 2)", [1]),
        ("INSERT INTO t VALUES (?1, ?1)", [1, 2]),
    ):
        error_of(await play(actor, attempt(sql(text, *values))))
    assert await column(actor, "SELECT count(*) FROM t") == [0]


@requirement("DB-125", "DB-126")
async def test_rows(conform):
    """Rows come in the order of the statement, each a map of its columns; a statement without rows or columns gives the empty list."""
    actor = actor_of(conform)
    assert await play(actor, sql("CREATE TABLE t (x INTEGER, y TEXT)")) == []
    assert await play(actor, sql("INSERT INTO t VALUES (2, 'b'), (3, NULL), (1, '')")) == []
    expected = [{"x": 3, "y": None}, {"x": 2, "y": "b"}, {"x": 1, "y": ""}]
    assert await play(actor, sql("SELECT x, y FROM t ORDER BY x DESC")) == expected
    assert await play(actor, sql("SELECT x FROM t WHERE x > 3")) == []
    assert await play(actor, sql("UPDATE t SET y = 'c' WHERE x = 2")) == []
    assert await play(actor, sql("UPDATE t SET y = x RETURNING x, y AS \"new y\"")) == [
        {"x": 2, "new y": "2"}, {"x": 3, "new y": "3"}, {"x": 1, "new y": "1"},
    ]  # fmt: skip
    assert await play(actor, sql("DELETE FROM t WHERE x = ? RETURNING y", 9)) == []
    assert await play(actor, sql("DELETE FROM t WHERE x > ? RETURNING x", 1)) == [{"x": 2}, {"x": 3}]
    assert await play(actor, sql("PRAGMA user_version = 7")) == []
    assert await play(actor, sql("PRAGMA user_version")) == [{"user_version": 7}]
    assert await play(actor, sql("DROP TABLE t")) == []


@requirement("DB-125")
async def test_many_rows(conform):
    """All rows come, in order."""
    actor = actor_of(conform)
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) SELECT i FROM n"
    assert await column(actor, numbers) == list(range(1, 2001))


@requirement("DB-128")
async def test_columns_of_one_name(conform):
    """Of columns that share a name the last one counts."""
    assert await play(actor_of(conform), sql("SELECT 1 AS x, 2 AS y, NULL AS x")) == [{"x": None, "y": 2}]


@requirement("DB-119")
async def test_text_with_a_nul(conform):
    """A text with a NUL inside is stored whole, bound as value and by name."""
    actor = actor_of(conform)
    text = "SELECT :a AS text, hex(:a) AS octets, length(:a) AS length"
    assert await play(actor, op("sql", sql=text, args={"a": "a\0b"})) == [{"text": "a\0b", "octets": "610062", "length": 1}]
    await play(actor, TABLE, sql("INSERT INTO t VALUES (?)", "a\0b"))
    assert await column(actor, "SELECT x FROM t WHERE x = ?", "a\0b") == ["a\0b"]


@requirement("DB-129")
async def test_last_row_id(conform, boundary):
    """It is the row of this client's last insert, whatever the runtime wrote since; 0 before the first insert of a generation."""
    actor = actor_of(conform)
    assert await column(actor, "SELECT last_insert_rowid()") == [0]
    await play(actor, TABLE, sql("INSERT INTO t (rowid, x) VALUES (41, 1)"), sql("INSERT INTO t VALUES (?)", 2))
    await play(actor, sql("UPDATE t SET x = 3"), sql("SELECT 1"))
    assert await play(actor, sql("SELECT last_insert_rowid()")) == [{"last_insert_rowid()": 42}]
    written = [
        op("set", at="state.n", value=1),
        op("save", immediate=True),
        op("queue.send", name="jobs"),
        op("kv.put", key="k", value="v"),
    ]
    await play(actor, *written)
    for text in (
        "SELECT last_insert_rowid()",
        "SELECT last_insert_rowid();",
        "select last_insert_rowid() AS id",
        "SELECT last_insert_rowid() AS id;",
    ):
        assert await column(actor, text) == [42]
    assert await play(actor, sql("SELECT last_insert_rowid() AS id")) == [{"id": 42}]
    await boundary.sleep(actor, via="api")
    assert await column(actor_of(conform), "SELECT last_insert_rowid()") == [0]
