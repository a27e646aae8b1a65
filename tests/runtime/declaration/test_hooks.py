"""The hooks of a class."""

import pytest

from runtime.declaration.actor import Actor
from runtime.declaration.hooks import HOOKS, collect_hooks


class Base(Actor):
    def run(self, c):
        return self

    async def on_wake(self, c): ...

    def on_fire(self, c): ...


class Quiet(Base):
    run = None


def test_only_known_hooks_bound_to_the_instance():
    instance = Base()
    hooks = collect_hooks(Base, instance)
    assert set(hooks) == {"run", "on_wake"}
    assert hooks["run"]("c", "surplus") is instance
    assert hooks["on_wake"].is_async


def test_none_takes_an_inherited_hook_away():
    assert set(collect_hooks(Quiet, Quiet())) == {"on_wake"}


def test_every_hook_can_be_declared():
    everything = type("Everything", (Actor,), dict.fromkeys(HOOKS, lambda self: None))
    assert tuple(collect_hooks(everything, everything())) == HOOKS


@pytest.mark.parametrize(
    ("static", "builder", "shown"),
    [
        ("state", "create_state", "'state' and 'createState'"),
        ("vars", "create_vars", "'vars' and 'createVars'"),
        ("conn_state", "create_conn_state", "'connState' and 'createConnState'"),
    ],
)
def test_a_static_value_excludes_its_builder(static, builder, shown):
    both = type("Both", (Actor,), {static: None, builder: lambda self, c: None})
    with pytest.raises(ValueError, match=f"Cannot define both {shown}"):
        collect_hooks(both, both())


@pytest.mark.parametrize("name", ["on_wake", "on_state_change", "run"])
def test_a_hook_that_would_never_run_is_refused(name):
    def plain(self, c):
        yield

    async def asynchronous(self, c):
        yield

    for hook in (plain, asynchronous):
        actor = type("Never", (Actor,), {name: hook})
        with pytest.raises(ValueError, match=f"{name} must not be a generator"):
            collect_hooks(actor, actor())


def test_the_hook_of_a_change_cannot_be_asynchronous():
    async def hook(self, c, state): ...

    actor = type("Waits", (Actor,), {"on_state_change": hook})
    with pytest.raises(ValueError, match="on_state_change must be a plain function"):
        collect_hooks(actor, actor())
