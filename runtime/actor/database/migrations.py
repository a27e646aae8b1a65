"""Numbered schema migrations with the version kept in a one-row table (DB-210..215)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime.actor.database.provider import settle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from runtime.actor.database.transaction import Transaction

DEFAULT_TABLE = "rivetkit_schema_version"
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: `sql` (a script), or `up(db)`."""

    version: int
    sql: str | None = None
    up: Callable[[Transaction], Awaitable[object] | object] | None = None


def migrations(
    steps: Sequence[Migration],
    *,
    table_name: str = DEFAULT_TABLE,
    adopt: Callable[[Transaction], Awaitable[int] | int] | None = None,
) -> Callable[[Transaction], Awaitable[None]]:
    """An `on_migrate` that runs the steps above the stored version, in order.

    Args:
        steps: Versions 1, 2, 3 ... without a gap.
        table_name: Where the version is kept.
        adopt: Tells the version of a database that has no version row yet, for schemas older than this helper.

    Raises:
        ValueError: The ladder or the table name is malformed (DB-211, DB-212).
    """
    # At the declaration: a malformed ladder should stop the process that declares it, not the first actor that starts.
    _check(steps, table_name)

    async def on_migrate(db: Transaction) -> None:
        await db.execute(
            f"CREATE TABLE IF NOT EXISTS {table_name} (singleton INTEGER PRIMARY KEY CHECK (singleton = 1), "
            f"schema_version INTEGER NOT NULL CHECK (schema_version BETWEEN 0 AND 9007199254740991)) STRICT"
        )
        rows = await db.execute(f"SELECT schema_version FROM {table_name} WHERE singleton = 1")  # noqa: S608 - an identifier, checked
        if rows:
            version = rows[0]["schema_version"]
        else:
            version = await settle(adopt(db)) if adopt is not None else 0
            await db.execute(f"INSERT INTO {table_name} VALUES (1, ?)", version)  # noqa: S608
        # An older release over a newer schema: going on would write what the newer one cannot read.
        if version > len(steps):
            raise RuntimeError(f'migration version {version} in "{table_name}" is newer than supported version {len(steps)}')
        for step in steps[version:]:
            if step.sql is not None:
                await db.execute(step.sql)
            elif step.up is not None:
                await settle(step.up(db))
            # After each step, so that `up` of the next one sees the version it builds on.
            await db.execute(f"UPDATE {table_name} SET schema_version = ? WHERE singleton = 1", step.version)  # noqa: S608

    return on_migrate


def _check(steps: Sequence[Migration], table_name: str) -> None:
    if not _IDENTIFIER.fullmatch(table_name):
        raise ValueError(f'invalid migration table name "{table_name}": expected a SQLite identifier')
    if not steps:
        raise ValueError("migration ladder must not be empty")
    for expected, step in enumerate(steps, start=1):
        if step.version != expected:
            raise ValueError(f"invalid migration ladder: expected version {expected}, received {step.version}")
        if (step.sql is None) == (step.up is None):
            raise ValueError(f"invalid migration {expected}: expected exactly one of sql or up")
        if step.sql is not None and not step.sql.strip():
            raise ValueError(f"invalid migration {expected}: SQL is empty")
