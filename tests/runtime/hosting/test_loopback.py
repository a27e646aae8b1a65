"""Clients to the host's own gateway."""

from runtime.hosting.standalone.loopback import LoopbackClients


async def test_actors_of_one_namespace_and_pool_share_a_client():
    clients = LoopbackClients()
    one = clients.get("http://127.0.0.1:1", "n", "p")
    assert clients.get("http://127.0.0.1:1", "n", "p") is one
    assert clients.get("http://127.0.0.1:1", "n", "q") is not one
    await clients.close()
