"""Durable actors in Python: declare classes, serve them, call them.

    from runtime import Actor, Context, Registry, action, run

    class Counter(Actor):
        state = {"count": 0}

        @action
        def increment(self, c: Context, amount: int = 1) -> int:
            c.state.count += amount
            return c.state.count

    run(Registry(Counter))

Names are imported when first used: the client needs only `runtime.protocol` and `runtime.errors`, and must not load a server with them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runtime.actor.calls.context import Context
    from runtime.actor.connections.connection import Conn
    from runtime.actor.connections.raw.socket import MessageEvent, RawSocket
    from runtime.actor.database.migrations import Migration, migrations
    from runtime.actor.database.provider import DatabaseProvider, raw_database
    from runtime.actor.database.sqlalchemy_binding import JournalEntry, sqlalchemy_database
    from runtime.actor.database.transaction import Transaction
    from runtime.actor.database.worker import DatabaseClosedError
    from runtime.actor.lifecycle.abort import AbortSignal
    from runtime.actor.queue.message import QueueMessage
    from runtime.declaration.actions import action
    from runtime.declaration.actor import Actor
    from runtime.declaration.events import Event
    from runtime.declaration.options import Options
    from runtime.declaration.queues import Queue
    from runtime.declaration.registry import Registry
    from runtime.declaration.tabs import InspectorTab
    from runtime.errors import ActorError, UserError, forbidden, make_error
    from runtime.gateway.rate_limits import NO_RATE_LIMITS, RateLimits
    from runtime.hosting.options import HostOptions
    from runtime.http import Request, Response
    from runtime.protocol.values import UNDEFINED
    from runtime.server import InProcessServer, create_app, run, serve
    from runtime.storage.memory import MemoryStorage
    from runtime.storage.sqlite import SQLiteStorage

_HOMES = {
    "NO_RATE_LIMITS": "runtime.gateway.rate_limits",
    "UNDEFINED": "runtime.protocol.values",
    "AbortSignal": "runtime.actor.lifecycle.abort",
    "Actor": "runtime.declaration.actor",
    "ActorError": "runtime.errors",
    "Conn": "runtime.actor.connections.connection",
    "Context": "runtime.actor.calls.context",
    "DatabaseClosedError": "runtime.actor.database.worker",
    "DatabaseProvider": "runtime.actor.database.provider",
    "Event": "runtime.declaration.events",
    "HostOptions": "runtime.hosting.options",
    "InProcessServer": "runtime.server",
    "InspectorTab": "runtime.declaration.tabs",
    "JournalEntry": "runtime.actor.database.sqlalchemy_binding",
    "MemoryStorage": "runtime.storage.memory",
    "MessageEvent": "runtime.actor.connections.raw.socket",
    "Migration": "runtime.actor.database.migrations",
    "Options": "runtime.declaration.options",
    "Queue": "runtime.declaration.queues",
    "QueueMessage": "runtime.actor.queue.message",
    "RawSocket": "runtime.actor.connections.raw.socket",
    "RateLimits": "runtime.gateway.rate_limits",
    "Registry": "runtime.declaration.registry",
    "Request": "runtime.http",
    "Response": "runtime.http",
    "SQLiteStorage": "runtime.storage.sqlite",
    "Transaction": "runtime.actor.database.transaction",
    "UserError": "runtime.errors",
    "action": "runtime.declaration.actions",
    "create_app": "runtime.server",
    "forbidden": "runtime.errors",
    "make_error": "runtime.errors",
    "migrations": "runtime.actor.database.migrations",
    "raw_database": "runtime.actor.database.provider",
    "run": "runtime.server",
    "serve": "runtime.server",
    "sqlalchemy_database": "runtime.actor.database.sqlalchemy_binding",
}

__all__ = [
    "NO_RATE_LIMITS",
    "UNDEFINED",
    "AbortSignal",
    "Actor",
    "ActorError",
    "Conn",
    "Context",
    "DatabaseClosedError",
    "DatabaseProvider",
    "Event",
    "HostOptions",
    "InProcessServer",
    "InspectorTab",
    "JournalEntry",
    "MemoryStorage",
    "MessageEvent",
    "Migration",
    "Options",
    "Queue",
    "QueueMessage",
    "RateLimits",
    "RawSocket",
    "Registry",
    "Request",
    "Response",
    "SQLiteStorage",
    "Transaction",
    "UserError",
    "action",
    "create_app",
    "forbidden",
    "make_error",
    "migrations",
    "raw_database",
    "run",
    "serve",
    "sqlalchemy_database",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its home."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'runtime' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
