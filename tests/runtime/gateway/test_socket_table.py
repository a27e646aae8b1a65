"""The sockets of a host: whose they are, and one wake at a time."""

import asyncio

from runtime.actor.connections.sockets import SocketState
from runtime.errors import make_error
from runtime.gateway.socket_table import SocketTable


class FakeSocket:
    def __init__(self, table, actor_id="a", state=SocketState.HIBERNATING):
        self.upgrade = self
        self.actor_id, self.ray_id, self.state = actor_id, "ray", state
        self.request_id = table.allocate_id()
        self.closes = []
        table.add(self)

    def close(self, code, reason):
        self.closes.append((code, reason))


async def woken(actor_id):
    pass


async def test_sockets_are_kept_by_actor_until_they_are_discarded():
    table = SocketTable(woken)
    mine, other, active = FakeSocket(table), FakeSocket(table, "b"), FakeSocket(table, state=SocketState.ACTIVE)
    assert table.hibernating("a") == [mine]
    assert len({mine.request_id, other.request_id, active.request_id}) == 3
    table.discard(mine)
    table.discard(mine)
    assert (table.hibernating("a"), table.hibernating("b")) == ([], [other])


async def test_one_wake_is_under_way_however_many_ask():
    begun, release = [], asyncio.Event()

    async def wake(actor_id):
        begun.append(actor_id)
        await release.wait()

    table = SocketTable(wake)
    table.wake("a")
    await asyncio.sleep(0)
    for _ in range(4):
        table.wake("a")
    assert begun == ["a"]
    release.set()
    await asyncio.sleep(0.01)
    assert begun == ["a", "a"]  # asked for again meanwhile: once more, not four times
    await table.close()


async def test_a_wake_that_fails_is_told_to_those_who_wait_for_it():
    async def wake(actor_id):
        raise make_error("actor.not_found")

    table = SocketTable(wake)
    waiting, active = FakeSocket(table), FakeSocket(table, state=SocketState.ACTIVE)
    table.wake("a")
    await asyncio.sleep(0.01)
    assert (waiting.closes, active.closes) == ([(1011, "actor.not_found#ray")], [])


async def test_a_destroyed_actor_leaves_those_alone_that_are_opening():
    table = SocketTable(woken)
    waiting, opening = FakeSocket(table), FakeSocket(table, state=SocketState.OPENING)
    table.actor_gone("a")
    assert (waiting.closes, opening.closes) == ([(1000, "actor.stopped")], [])


async def test_the_end_of_the_process_wakes_nobody():
    table = SocketTable(woken)
    socket = FakeSocket(table)
    await table.close()
    table.wake("a")
    assert (socket.closes, table._wakes) == ([(1012, "")], {})
