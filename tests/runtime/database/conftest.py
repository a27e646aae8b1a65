from functools import partial

import pytest

from runtime.actor.database.pool import DatabasePool
from runtime.hosting.engine.storage.engine_storage import EngineStorage
from runtime.hosting.engine.storage.page_cache import PageBudget
from runtime.hosting.standalone.actor_storage import GenerationStorage
from tests.runtime import owner
from tests.runtime.actor import support
from tests.runtime.hosting.engine.fake_pages import FakePages


class DatabaseAtEngine(GenerationStorage):
    """Rows in the store, and the database at an engine: for tests of the database alone."""

    def __init__(self, engine, storage, actor_id, generation, databases):
        super().__init__(storage, actor_id, generation, databases)
        self._engine = engine
        self._engine_storage = engine.storage(actor_id, generation)

    def has_database(self):
        return self._scope in self._engine.heads

    async def open_database(self, prepare):
        return await self._engine_storage.open_database(prepare)


class Engine(FakePages):
    """An engine, and storages of generations there."""

    def storage(self, actor_id, generation):
        self.generations[actor_id] = generation
        return EngineStorage(self, actor_id, generation, DatabasePool(1), PageBudget(), print)


@pytest.fixture
def at_engine():
    """Gives a function after which databases of actors are at an engine."""
    engine = Engine()

    def switch():
        patch.setattr(owner, "GenerationStorage", partial(DatabaseAtEngine, engine))
        patch.setattr(support.World, "generation_storage", lambda world: engine.storage(world.actor_id, world.generation))

    # Its own: a test may undo what it patched itself.
    with pytest.MonkeyPatch.context() as patch:
        yield switch


@pytest.fixture(params=["standalone", "engine"])
def either_host(request, at_engine):
    """Databases of actors are files, or at an engine: user code finds the same."""
    if request.param == "engine":
        at_engine()
    return request.param
