"""`Conn` as user code sees it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from pydantic import BaseModel

from runtime.actor.connections.connection import Conn, new_conn_id
from runtime.protocol.values import UNDEFINED


class Home:
    def __init__(self):
        self.asked = []

    def send_to(self, conn, name, args):
        self.asked.append(("send", conn, name, args))

    def disconnect(self, conn, reason):
        self.asked.append(("disconnect", conn, reason))

    def track_state(self, conn, value, *, initial):
        return ["tracked", value, initial]

    def changed(self, conn):
        self.asked.append(("changed", conn))


def test_what_user_code_does_comes_down_to_the_home():
    home = Home()
    conn = Conn(home, "c1")
    conn.send("news", 1, 2)
    conn.disconnect()
    conn.disconnect("out")
    assert conn.state is UNDEFINED
    conn.state = 5
    assert conn.state == ["tracked", 5, False]
    assert home.asked == [("send", conn, "news", (1, 2)), ("disconnect", conn, ""), ("disconnect", conn, "out"), ("changed", conn)]


def test_parameters_cannot_be_changed():
    conn = Conn(Home(), "c1")
    conn.adopt({"a": [1]}, None)
    conn.params["a"].append(2)
    assert conn.params == {"a": [1]}
    assert conn.stored_values() == ({"a": [1]}, None)


async def test_a_disconnect_waits_for_the_setup():
    conn = Conn(Home(), "c1")
    assert await conn.setup_done()
    setup = asyncio.get_running_loop().create_future()
    conn.begin_setup(setup)
    waiting = asyncio.create_task(conn.setup_done())
    setup.set_result(False)
    assert await waiting is False


def test_ids_are_unique():
    assert len({new_conn_id() for _ in range(50)}) == 50


@dataclass
class Params:
    tags: list


class Model(BaseModel):
    tags: list


@pytest.mark.parametrize("make", [Params, lambda tags: Model(tags=tags), lambda tags: (tags,), lambda tags: SimpleNamespace(tags=tags)])
def test_parameters_cannot_be_changed_whatever_a_schema_makes_of_them(make):
    conn = Conn(Home(), "c1")
    conn.adopt(make(["a"]), UNDEFINED)
    given = conn.params
    (given[0] if isinstance(given, tuple) else given.tags).append("b")
    assert conn.params == make(["a"])
