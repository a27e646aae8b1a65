"""Actors under test."""

from __future__ import annotations

import asyncio
from typing import Any

from runtime.declaration.actions import action
from runtime.declaration.actor import Actor
from runtime.declaration.events import Event
from runtime.declaration.options import Options
from runtime.errors import UserError


class Room(Actor):
    """Everything a connection can do; records what its hooks saw."""

    state = {"log": [], "count": 0, "wakes": 0, "sleeps": 0}
    options = Options(sleep_timeout=1.0)
    events = {
        "guarded": Event(can_subscribe=lambda c: c.conn.params != {"guest": True}),
        "slowGuard": Event(can_subscribe=lambda c: _later(True)),
        "oddGuard": Event(can_subscribe=lambda c: "yes"),
        "typed": Event(schema=int),
    }

    def on_wake(self, c: Any) -> None:
        c.state.wakes += 1
        c.state.log.append(["wake", len(c.conns)])

    async def on_sleep(self, c: Any) -> None:
        c.state.sleeps += 1
        c.broadcast("sleeping", c.state.sleeps)
        await asyncio.sleep(0.3)

    def on_before_connect(self, c: Any, params: Any) -> Any:
        c.state.log.append(["before", c.conn is None, len(c.conns), c.request.method])
        if params == {"deny": True}:
            raise UserError("No entry", code="denied", metadata={"why": "test"})
        if params == {"stall": True}:
            return _later(None, 10.0)
        return None

    def create_conn_state(self, c: Any, params: Any) -> Any:
        if params == {"bad": True}:
            raise RuntimeError("secret")
        return {"seen": 0, "from": (params or {}).get("name")}

    def on_connect(self, c: Any, conn: Any) -> None:
        c.state.log.append(["connect", conn.id in c.conns, conn.is_hibernatable])
        conn.send("hello", conn.id)
        c.broadcast("joined", conn.id)
        if conn.params == {"late": True}:
            raise UserError("late", code="late")

    def on_disconnect(self, c: Any, conn: Any) -> None:
        c.state.log.append(["disconnect", conn.id in c.conns, dict(conn.state)])

    @action
    def increment(self, c: Any, by: int = 1) -> int:
        c.state.count += by
        if c.conn is not None:
            c.conn.state.seen += 1
        c.broadcast("count", c.state.count)
        return c.state.count

    @action
    def seen(self, c: Any) -> int:
        return c.conn.state.seen

    @action("log")
    def get_log(self, c: Any) -> list[Any]:
        return list(c.state.log)

    @action
    def ids(self, c: Any) -> list[str]:
        return [conn.id for conn in c.conns.values()]

    @action
    def kick(self, c: Any, reason: str = "out") -> str:
        c.conn.disconnect(reason)
        c.conn.disconnect("again")
        return "never seen"

    @action
    def emit(self, c: Any, name: str, *args: Any) -> None:
        c.broadcast(name, *args)

    @action
    def whisper(self, c: Any, name: str, *args: Any) -> None:
        c.conn.send(name, *args)

    @action
    async def slow(self, c: Any, seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "slow"

    @action
    def big(self, c: Any, size: int) -> str:
        return "x" * size

    @action
    def fail(self, c: Any) -> None:
        raise UserError("nope", code="nope", metadata={"a": 1})

    @action
    def nap(self, c: Any) -> None:
        c.sleep()

    @action
    def order(self, c: Any, number: int) -> int:
        c.state.log.append(number)
        return number

    @action
    def vanish(self, c: Any) -> None:
        c.destroy()


async def _later(value: Any, seconds: float = 0.2) -> Any:
    await asyncio.sleep(seconds)
    return value


class Plain(Actor):
    """No hook at all."""

    state = {"count": 0}

    @action
    def conns(self, c: Any) -> int:
        return len(c.conns)


class Raw(Actor):
    """Echoes; keeps a log."""

    state = {"log": [], "opens": 0}
    options = Options(sleep_timeout=0.5)
    hibernates = False

    def on_web_socket(self, c: Any, socket: Any) -> Any:
        c.state.opens += 1
        socket.send(f"open {c.request.url}")
        if c.request.url.endswith("/throw"):
            raise UserError("x", code="boom")
        socket.on("message", lambda event: self.handle(c, socket, event))
        socket.on("close", lambda event: self.closed(c, event))
        if c.request.url.endswith("/async"):
            return _later(None)
        return None

    def handle(self, c: Any, socket: Any, event: Any) -> Any:
        data = event.data
        if data == "raise":
            raise RuntimeError("listener")
        if data == "close":
            socket.close(4001, "bye")
        elif data == "kick":
            c.conn.disconnect("out")
        elif data == "slow":
            return self.answer_later(c, socket)
        elif data == "sleep":
            c.sleep()
        else:
            c.state.log.append([event.index, data if isinstance(data, str) else data.decode()])
            socket.send(data)
        return None

    async def answer_later(self, c: Any, socket: Any) -> None:
        await asyncio.sleep(2.0)
        c.state.log.append("slow done")
        socket.send("slow")

    async def closed(self, c: Any, event: Any) -> None:
        c.state.log.append(["closing", event.code, event.reason, event.was_clean, len(c.conns)])
        await asyncio.sleep(0.1)
        c.state.log.append("close listener done")

    def on_disconnect(self, c: Any, conn: Any) -> None:
        c.state.log.append(["disconnect", conn.is_hibernatable])

    @action("log")
    def get_log(self, c: Any) -> list[Any]:
        return list(c.state.log)

    @action
    def opens(self, c: Any) -> int:
        return c.state.opens


class Hibernating(Raw):
    """The same, surviving sleep."""

    options = Options(sleep_timeout=0.5, can_hibernate_web_socket=True)


class Silent(Actor):
    """No raw handler."""

    @action
    def conns(self, c: Any) -> int:
        return len(c.conns)
