"""Databases on fake pages."""

from runtime.actor.database.pool import DatabasePool
from runtime.hosting.engine.storage.connection import EngineConnection
from runtime.hosting.engine.storage.engine_storage import EngineStorage
from runtime.hosting.engine.storage.page_cache import PageBudget
from runtime.hosting.engine.storage.page_file import PageFile
from tests.runtime.actor.support import World
from tests.runtime.hosting.engine.fake_pages import FakePages


def opened(link, generation=1, *, actor_id="a", budget=None, on_dead=lambda _: None):
    """A connection to a database at the engine."""
    return EngineConnection(PageFile(link, actor_id, generation, budget or PageBudget(), on_dead), actor_id)


class EngineWorld(World):
    """One actor whose pages are at an engine.

    Attributes:
        deaths: What `on_dead` was called with.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.pages, self.deaths = FakePages(), []

    def generation_storage(self):
        self.pages.generations[self.actor_id] = self.generation
        return EngineStorage(self.pages, self.actor_id, self.generation, DatabasePool(1), PageBudget(), self.deaths.append)
