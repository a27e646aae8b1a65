"""The start of a generation: order, rows, failures. What hooks see is in tests/runtime/actor/test_start.py."""

from types import SimpleNamespace

import pytest

from runtime.actor.lifecycle.start import run_start
from runtime.actor.rows import ACTOR_TABLE, INIT_KEY, STATE_KEY
from runtime.protocol import cbor
from runtime.protocol.storable import Unstorable
from runtime.protocol.values import UNDEFINED
from runtime.storage.base import Put
from tests.runtime.parts import Owner, StorageFailure


class Starting(Owner):
    """`steps`: what a start did, in order."""

    def __init__(self, *, hooks=(), rows=None, has_state=True, token="fixed"):
        super().__init__(steps=[], vars=None, hooks=set(hooks))
        self.definition = SimpleNamespace(hooks=self.hooks, has_state=has_state, vars={"n": 1}, database=None)
        self.identity.input = "input"
        self.storage = SimpleNamespace(load=self._load)
        self.stored = rows or {}
        self.host = SimpleNamespace(options=SimpleNamespace(fixed_inspector_token=token), open_sockets=lambda actor_id: ["socket"])
        note = self.steps.append
        self.queue, self.schedules = (SimpleNamespace(load=lambda rows, name=name: note(f"load {name}")) for name in ("queue", "schedules"))
        self.conns = SimpleNamespace(restore=lambda rows, sockets: note(f"restore {sockets}"))
        self.run = SimpleNamespace(launch=lambda: note("launch"))
        self.state = SimpleNamespace(
            initial=lambda: "initial", install=lambda value: note(f"state {value}"), load=lambda data: note("state loaded"),
            collect=lambda: note("collect"), put=lambda: Put(ACTOR_TABLE, STATE_KEY, b"s"), settled=lambda ok: note(f"settled {ok}"),
        )  # fmt: skip

    async def _load(self):
        return self.stored

    async def call_hook(self, hook, context, *args, timeout, label):
        if hook in self.hooks:
            self.steps.append(" ".join([hook, *map(repr, args)]))
        return f"value of {hook}"


async def start(owner):
    await run_start(owner, lambda: owner.steps.append("ready"))
    return owner


async def test_a_first_start_creates_and_stores_in_one_batch():
    owner = await start(Starting(hooks={"create_state", "on_create", "create_vars", "on_wake"}))
    assert owner.steps == [
        "load queue", "load schedules", "restore ['socket']", "create_state 'input'", "state value of create_state", "on_create 'input'",
        "collect", "settled True", "create_vars None", "on_wake", "launch", "ready",
    ]  # fmt: skip
    assert len(owner.batches) == 1
    assert cbor.loads(owner.rows[ACTOR_TABLE, INIT_KEY]) == {"has_initialized": True, "input": "input"}
    assert owner.vars == "value of create_vars"


async def test_a_later_start_loads_and_writes_nothing():
    first = await start(Starting())
    owner = await start(Starting(rows=first.loaded(), hooks={"on_create", "on_wake"}))
    assert owner.steps[3:] == ["state loaded", "on_wake", "launch", "ready"]
    assert owner.batches == []


async def test_static_vars_are_copied():
    owner = await start(Starting())
    assert owner.vars == {"n": 1}
    assert owner.vars is not owner.definition.vars


async def test_an_actor_without_a_fixed_token_gets_one_of_its_own_once():
    first = await start(Starting(token=None))
    token = cbor.loads(first.rows[ACTOR_TABLE, b"inspector"])
    assert len(token) > 20
    assert (await start(Starting(token=None, rows=first.loaded()))).batches == []


async def test_a_creation_that_cannot_be_stored_is_no_start():
    owner = Starting()
    owner.failing = 1
    with pytest.raises(StorageFailure):
        await start(owner)
    assert "settled False" in owner.steps
    assert "launch" not in owner.steps
    assert sum(owner.metrics.phases["total", "true", "error"].counts) == 1


async def test_without_input_none_is_counted():
    owner = Starting(has_state=False)
    owner.identity.input = UNDEFINED
    await start(owner)
    assert owner.metrics.mutations["input_set"] == 0
    assert owner.metrics.mutations["has_initialized"] == 1


async def test_an_input_that_no_later_start_could_read_fails_the_first():
    owner = Starting()
    deep = []
    for _ in range(1000):
        deep = [deep]
    owner.identity.input = deep
    with pytest.raises(Unstorable):
        await start(owner)
    assert owner.batches == []
