"""A program whose actors live on an engine: what it is told, what it does first, and how it ends."""

from __future__ import annotations

import asyncio
import signal
import sys

import pytest

from runtime import Actor, EngineAddress, Registry, run, serve_engine
from runtime.hosting.engine import setup
from runtime.hosting.engine.setup import SetUpError
from runtime.serving import engine as module


class Thing(Actor):
    pass


class Host:
    """Stands in for `EngineHost`."""

    made: list = []

    def __init__(self, registry, *address):
        self.registry, self.given, self.done = registry, address, []
        self.address = EngineAddress(envoy_key="key-of-its-own")
        self.end = asyncio.Event()
        self.made.append(self)

    async def open(self):
        self.done.append("open")

    async def serve(self):
        await self.end.wait()
        raise RuntimeError("evicted")

    async def close(self):
        self.done.append("close")


@pytest.fixture
def calls(monkeypatch):
    """What is asked of the engine over REST; the host is a fake."""
    asked = []
    Host.made = []

    def note(name):
        async def call(*args):
            asked.append((name, *args))

        return call

    for name in ("set_up", "check_version", "wait_listed"):
        monkeypatch.setattr(setup, name, note(name))
    monkeypatch.setattr(module, "_host", lambda registry, address, options: Host(registry, address))
    return asked


def names(calls):
    return [name for name, *_ in calls]


@pytest.mark.parametrize(
    ("url", "wanted", "first"),
    [
        ("http://127.0.0.1:6420", None, "set_up"),
        ("http://localhost:6420", None, "set_up"),
        ("https://engine.example", None, "check_version"),
        ("https://engine.example", True, "set_up"),
        ("http://127.0.0.1:6420", False, "check_version"),
    ],
)
async def test_engines_of_ones_own_are_set_up_others_when_asked(calls, url, wanted, first):
    ready = []

    def stop(address):
        ready.append(address)
        Host.made[0].end.set()

    with pytest.raises(RuntimeError, match="evicted"):
        await serve_engine(Registry(Thing), EngineAddress(url, "home", "pool", "secret"), set_up=wanted, on_ready=stop)
    assert names(calls) == [first, "wait_listed"]
    assert calls[-1] == ("wait_listed", url, "home", "pool", "key-of-its-own", "secret")
    assert ready == [EngineAddress(url, "home", "pool", "secret", 1, "key-of-its-own")]
    assert Host.made[0].done == ["open", "close"]


async def test_a_signal_ends_it_in_order(calls):
    await serve_engine(Registry(Thing), "http://127.0.0.1:6420", on_ready=lambda _: signal.raise_signal(signal.SIGTERM))
    assert Host.made[0].done == ["open", "close"]


async def test_a_signal_ends_the_wait_for_an_engine_too(calls, monkeypatch):
    async def never(*args):
        signal.raise_signal(signal.SIGTERM)
        await asyncio.Event().wait()

    monkeypatch.setattr(setup, "set_up", never)
    await serve_engine(Registry(Thing), "http://127.0.0.1:6420")
    assert Host.made[0].done == ["close"]


async def test_an_engine_that_is_not_there_is_an_error(calls, monkeypatch):
    async def refuse(*args):
        raise SetUpError("there is no engine")

    monkeypatch.setattr(setup, "set_up", refuse)
    with pytest.raises(RuntimeError, match="there is no engine"):
        await serve_engine(Registry(Thing), "http://127.0.0.1:6420")


async def test_without_the_extra_the_error_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.startswith(("runtime.hosting.engine.host", "runtime.hosting.engine.storage"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "apsw", None)
    with pytest.raises(RuntimeError, match=r"pip install 'actor-conformance\[engine\]'"):
        await serve_engine(Registry(Thing), "http://127.0.0.1:6420")


def test_run_takes_an_engine_in_place_of_a_port(monkeypatch):
    served = []

    async def serve(registry, address, **rest):
        served.append((address, rest["on_ready"]))

    monkeypatch.setattr("runtime.serving.program.serve_engine", serve)
    urls = []
    run(Registry(Thing), engine="http://e:1", namespace="n", pool="p", token="t", on_ready=urls.append)
    [(address, ready)] = served
    assert address == EngineAddress("http://e:1", "n", "p", "t")
    ready(address)
    assert urls == ["http://e:1"]
    run(Registry(Thing), engine=EngineAddress("http://e:1", version=4), pool="p")
    assert served[-1] == (EngineAddress("http://e:1", pool="p", version=4), None)
