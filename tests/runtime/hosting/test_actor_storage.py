"""The storage of one generation."""

from runtime.actor.database.pool import DatabasePool
from runtime.hosting.standalone.actor_storage import GenerationStorage
from runtime.storage.base import Put
from runtime.storage.memory import MemoryStorage


async def test_a_generation_has_the_rows_of_its_actor_and_its_number():
    disk = MemoryStorage()
    await disk.open()
    old, new, other = (GenerationStorage(disk, actor, number, DatabasePool(1)) for actor, number in (("a", 1), ("a", 2), ("b", 1)))
    await old.commit([Put("t", b"k", b"1")])
    await new.commit([Put("t", b"l", b"2")])
    # A late write of the old generation is still a write of the old one.
    assert (old.generation, new.generation) == (1, 2)
    assert await old.get("t", b"l") == b"2"
    assert await new.scan("t", reverse=True, limit=1) == [(b"l", b"2")]
    assert await new.load() == {"t": [(b"k", b"1"), (b"l", b"2")]}
    assert await other.load() == {}
