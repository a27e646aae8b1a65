"""The databases of a host's actors share its threads."""

import threading

from runtime.actor.database.provider import raw_database
from runtime.declaration.actor import Actor
from runtime.declaration.registry import Registry
from runtime.hosting.options import HostOptions
from runtime.hosting.standalone.host import StandaloneHost
from runtime.storage.memory import MemoryStorage


class Notes(Actor):
    name = "notes"
    database = raw_database(on_migrate=lambda db: db.execute("CREATE TABLE IF NOT EXISTS notes (text TEXT)"))


def sql_threads():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("actor-sql")]


async def test_awake_actors_with_databases_take_no_thread_each_and_a_closed_host_leaves_none():
    before = len(sql_threads())
    host = StandaloneHost(Registry(Notes), MemoryStorage(), HostOptions(database_threads=2))
    await host.open()
    home = await host.namespaces.ensure("default")
    slots = [(await host.get_or_create(home, "notes", f"n{number}", "default"))[0] for number in range(12)]
    for slot in slots:
        await host.ready(slot.actor_id)
    assert len(sql_threads()) - before <= 2
    await host.close()
    assert host.databases.threads.threads == 0
