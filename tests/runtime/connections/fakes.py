"""The neighbours of the parts of a connection, in a few lines each: enough to build every part alone."""

from __future__ import annotations

import asyncio
import inspect
from types import SimpleNamespace

import structlog

from runtime.actor.connections.disconnect import DisconnectHook
from runtime.actor.connections.events import EventHub
from runtime.actor.connections.hibernation.store import ConnStore
from runtime.actor.connections.setup import Setup
from runtime.actor.connections.sockets import Upgrade
from runtime.actor.lifecycle.activity import Activity
from runtime.actor.lifecycle.tracked_work import WorkTracker
from runtime.actor.ports import ActorIdentity
from runtime.declaration.actor import Actor
from runtime.declaration.definition import ActorDefinition
from runtime.http import Request
from runtime.metrics.registry import ActorMetrics
from runtime.protocol.values import UNDEFINED

CONNECT = "http://127.0.0.1/connect"
RAW = "http://127.0.0.1/websocket/"


class Plain(Actor):
    """Has nothing."""


class Socket:
    """A client socket that notes what the actor does with it."""

    def __init__(self, url=CONNECT, protocols=("rivet",), request_id=b"sock"):
        self.request = Request("GET", url, {})
        self.upgrade = Upgrade("actor1", self.request, protocols, "ray")
        self.gateway_id, self.request_id, self.key = b"gate", request_id, (b"gate", request_id)
        self.sink = self.watermark = self.restored_as = self.failure = None
        self.held = False
        self.sent, self.closes, self.acknowledged, self.pending, self.rests = [], [], [], [], []

    @property
    def closed(self):
        return bool(self.closes)

    def restored(self, request):
        self.restored_as = request

    def attach(self, sink, *, hibernatable, watermark=0):
        self.sink, self.hibernatable, self.watermark = sink, hibernatable, watermark

    def send(self, data):
        self.sent.append(data)

    def close(self, code=1000, reason=""):
        self.closes.append((code, reason))

    def fail(self, error):
        self.failure = error.name
        self.close(1011, error.name)

    def acknowledge(self, index):
        self.acknowledged.append(index)

    def hold(self):
        self.held = True

    def resume(self):
        self.held = False

    def hibernate(self):
        self.rests.append("hibernate")

    def rest(self):
        self.rests.append("rest")

    def pending_indexes(self):
        return self.pending


class Owner:
    """One generation of `actor`, as its connections see it. `started` are the actions that were asked for."""

    def __init__(self, actor=Plain):
        self.loop = asyncio.get_running_loop()
        self.answers_probes = False
        self.identity = ActorIdentity("actor1", "plain", None, "default", 1, UNDEFINED)
        self.definition = ActorDefinition.of(actor)
        self.options = self.definition.options
        self.log = structlog.get_logger()
        self.metrics = ActorMetrics()
        self.activity = Activity(lambda: None)
        self.work = WorkTracker(self.activity, self.metrics, self.log)
        self.started = []
        self.actions = SimpleNamespace(start_action=lambda name, args, conn, reply: self.started.append((name, args, reply)))
        self.limits = {}

    def context(self, conn=None, request=None):
        return SimpleNamespace(conn=conn, request=request)

    async def call_hook(self, hook, context, *args, timeout, label):
        self.limits[label] = timeout
        result = self.definition.hooks[hook](context, *args)
        return await result if inspect.isawaitable(result) else result


class Table:
    """The list of connections, as each part sees it; `happened` is what was asked of it, in order."""

    def __init__(self, owner):
        self.max_incoming = self.max_outgoing = 1000
        self.frozen = self.ended = self.deferring = False
        self.events = EventHub(owner.definition.events, self.max_outgoing)
        self.saves = []
        self.store = ConnStore(self.saves.append)
        self.setup = Setup(owner, self)
        self.disconnects = DisconnectHook(owner)
        self.cycles = set()
        self.acks = []
        self.happened = []
        self.publish_close = self.acks.append

    def track_state(self, conn, value, *, initial):
        self._note("initial state" if initial else "state")
        return value

    def leave(self, conn):
        self._note("leave")
        conn.removed = True
        return True

    def _note(self, what, *_):
        self.happened.append(what)

    def __getattr__(self, name):
        if name in ("enter", "enter_plain", "enter_restored", "count", "changed", "leave_and_disconnect", "send_to", "disconnect"):
            return lambda *_: self._note(name)
        raise AttributeError(name)


async def settle():
    """Let everything that is ready run."""
    for _ in range(5):
        await asyncio.sleep(0)
