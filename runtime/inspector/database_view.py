"""The actor's database as inspectors see it (section 10 of the specification)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.actor.database.statements import statements
from runtime.errors import ActorError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.inspector.actor_view import ActorView

MAX_ROWS = 500
_HIDDEN = ("sqlite_", "__drizzle_")


def quoted(name: str) -> str:
    """A table name that can name only a table or view (INSP-085)."""
    return '"' + name.replace('"', '""') + '"'


async def schema(view: ActorView) -> dict[str, Any]:
    """Tables and views by name with columns, foreign keys and row counts (INSP-080..082)."""
    db = await view.database()
    found = await db.execute("SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name")
    tables = []
    for row in found:
        # Tables of SQLite and of migration tools. `_rivet_` tables are shown: they may be read (DB-041).
        if row["name"].startswith(_HIDDEN):
            continue
        name = quoted(row["name"])
        tables.append(
            {
                "table": {"schema": "main", "name": row["name"], "type": row["type"]},
                "columns": [dict(column) for column in await db.execute(f"PRAGMA table_info({name})")],
                "foreignKeys": [dict(key) for key in await db.execute(f"PRAGMA foreign_key_list({name})")],
                "records": (await db.execute(f"SELECT count(*) AS records FROM {name}"))[0]["records"],  # noqa: S608 - quoted
            }
        )
    return {"tables": tables}


async def rows(view: ActorView, table: str, limit: int, offset: int) -> list[dict[str, Any]]:
    """Rows of one table or view; at most 500, negative numbers count as 0 (INSP-083)."""
    db = await view.database()
    # A negative LIMIT means none at all to SQLite.
    wanted = max(0, min(limit, MAX_ROWS))
    found = await db.execute(f"SELECT * FROM {quoted(table)} LIMIT ? OFFSET ?", wanted, max(0, offset))  # noqa: S608 - quoted
    return [dict(row) for row in found]


async def execute(view: ActorView, sql: str, args: Sequence[Any] | None, properties: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Run one statement; its rows (INSP-086..089).

    Raises:
        ActorError: core.internal_error for SQL errors and more than one statement; actor.internal_error for a missing named value.
    """
    # A script would run all and give the rows of one, and its writes could not be told from its reads.
    found = statements(sql)
    if len(found) > 1:
        raise ActorError("core", "internal_error", "An internal error occurred", {"error": "only one statement may be executed"})
    db = await view.database()
    if properties is not None:
        slots = found[0][1] if found else ()
        answer = await db.execute(sql, {name: _bound(value) for name, value in _named(slots, properties).items()})
    else:
        answer = await db.execute(sql, *(_bound(value) for value in args or ()))
    return [dict(row) for row in answer]


def _bound(value: Any) -> Any:
    """Booleans, which the actor's own client refuses, are numbers here."""
    return int(value) if isinstance(value, bool) else value


def _named(slots: tuple[str, ...], properties: dict[str, Any]) -> dict[str, Any]:
    """Values by bare name; keys may carry their sigil (INSP-087)."""
    # The client binds by bare name; people write the sigil that they see in the statement.
    given = {name.lstrip(":@$"): value for name, value in properties.items()}
    for slot in slots:
        if slot[0] != "?" and slot[1:] not in given:
            raise ActorError("actor", "internal_error", f"missing bind parameter: {slot}")
    return given
