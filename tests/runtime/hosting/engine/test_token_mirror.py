"""The copy of an inspector token that the engine shows."""

from types import SimpleNamespace

import pytest

from runtime.actor.ports import ActorIdentity
from runtime.hosting.engine.ports import LinkLostError
from runtime.hosting.engine.token_mirror import TokenMirror
from runtime.hosting.options import HostOptions
from runtime.protocol import cbor
from runtime.protocol.values import UNDEFINED


class Store:
    def __init__(self):
        self.written, self.down = [], False

    async def put(self, actor_id, key, value):
        if self.down:
            raise LinkLostError
        self.written.append((actor_id, key, value))


def task(token="secret"):
    async def get(table, key):
        return None if token is None else cbor.dumps_exact(token)

    return SimpleNamespace(identity=ActorIdentity("a", "thing", None, "home", 1, UNDEFINED), storage=SimpleNamespace(get=get))


async def test_a_token_is_written_once():
    store = Store()
    mirror = TokenMirror(store, HostOptions())
    await mirror.mirror(task())
    await mirror.mirror(task())
    assert store.written == [("a", b"\x03", b"secret")]


async def test_one_that_could_not_be_written_is_written_by_the_next_start():
    store = Store()
    mirror = TokenMirror(store, HostOptions())
    store.down = True
    with pytest.raises(LinkLostError):
        await mirror.mirror(task())
    store.down = False
    await mirror.mirror(task())
    assert store.written == [("a", b"\x03", b"secret")]


@pytest.mark.parametrize(("options", "token"), [(HostOptions(inspector_token="all"), "secret"), (HostOptions(), None)])
async def test_the_token_of_all_actors_and_none_are_not_shown(options, token):
    store = Store()
    await TokenMirror(store, options).mirror(task(token))
    assert store.written == []
