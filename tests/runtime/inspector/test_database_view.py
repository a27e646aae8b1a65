"""The database as inspectors see it."""

import pytest

from runtime.errors import ActorError
from runtime.inspector import database_view
from runtime.inspector.actor_view import ActorView
from tests.runtime.inspector.fake_actor import FakeActor


async def test_names_of_tables_are_quoted_and_rows_counted():
    view = ActorView(FakeActor())
    assert await database_view.rows(view, 'a"b', 9999, -1) == [{"sql": 'SELECT * FROM "a""b" LIMIT ? OFFSET ?', "args": [500, 0]}]
    assert (await database_view.execute(view, "SELECT :a", None, {":a": True}))[0]["args"] == [{"a": 1}]
    for sql, values in (("SELECT 1; SELECT 2", None), ("SELECT :a", {})):
        with pytest.raises(ActorError):
            await database_view.execute(view, sql, None, values)
