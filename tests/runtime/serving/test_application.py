"""The application of a registry, and what is said of where its actors are kept."""

import pytest
from structlog.testing import capture_logs

from runtime import Actor, MemoryStorage, Registry, create_app, serve


class Counter(Actor):
    name = "counter"


def warnings(registry, **options):
    with capture_logs() as records:
        create_app(registry, **options)
    return [record["event"] for record in records]


def test_who_would_lose_data_without_having_asked_for_it_is_told():
    assert warnings(Registry(Counter)) == ["actors are kept in memory and lost when this process ends"]


@pytest.mark.parametrize("storage", ["memory", MemoryStorage(), "directory"])
def test_who_said_where_is_told_nothing(storage, tmp_path):
    assert warnings(Registry(Counter), storage=tmp_path if storage == "directory" else storage) == []


def test_who_has_no_actors_loses_none():
    assert warnings(Registry()) == []


async def test_so_is_who_serves():
    with capture_logs() as records, pytest.raises(OSError, match="address"):
        await serve(Registry(Counter), host="192.0.2.1")
    assert any("lost when this process ends" in record["event"] for record in records)
