"""Who gets a client's WebSocket: the inspector or the actor."""

import asyncio

import pytest

from runtime.gateway import socket_opening
from runtime.http import Request


class FakeTask:
    def __init__(self):
        self.opened = []

    async def open_socket(self, socket):
        self.opened.append(socket)


class FakeSocket:
    def __init__(self, path):
        self.upgrade = self
        self.request = Request("GET", f"http://127.0.0.1{path}", {})


async def test_only_the_inspectors_path_is_the_inspectors(monkeypatch):
    inspected, task = [], FakeTask()

    async def open_inspector(task, socket):
        inspected.append(socket)

    monkeypatch.setattr(socket_opening, "open_inspector", open_inspector)
    theirs, ours = FakeSocket("/inspector/connect?protocol_version=5"), FakeSocket("/connect")
    await socket_opening.admit_socket(task, theirs)
    await socket_opening.admit_socket(task, ours)
    assert (inspected, task.opened) == ([theirs], [ours])


async def test_an_opening_has_a_limit(monkeypatch):
    monkeypatch.setattr(socket_opening, "OPEN_TIMEOUT", 0.01)
    task = FakeTask()
    task.open_socket = lambda socket: asyncio.Event().wait()
    with pytest.raises(TimeoutError):
        await socket_opening.admit_socket(task, FakeSocket("/connect"))
