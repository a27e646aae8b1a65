"""An actor that is nothing but values, for tests of one part of the inspector."""

import asyncio
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import structlog

from runtime.actor.connections.sockets import Upgrade
from runtime.actor.rows import ACTOR_TABLE, INSPECTOR_TOKEN_KEY
from runtime.actor.schedule.records import Schedule
from runtime.declaration.tabs import InspectorTab
from runtime.http import Request
from runtime.inspector.http import answer_http
from runtime.inspector.request import InspectorRequest
from runtime.protocol import cbor, jsontext
from runtime.protocol.values import UNDEFINED
from runtime.workflow import workflow
from tests.runtime.workflow.owner import FakeOwner, run_of


class Rows:
    """`ActorStorage` of one row, or of the rows of one table."""

    def __init__(self, token=None, rows=()):
        self.token, self.rows = token, list(rows)

    async def get(self, table, key):
        assert (table, key) == (ACTOR_TABLE, INSPECTOR_TOKEN_KEY)
        return None if self.token is None else cbor.dumps_exact(self.token)

    async def scan(self, table):
        return self.rows


class FakeActor:
    """`InspectedActor`: what an inspector had it do is in `done`."""

    workflow = observer = None

    def __init__(self, *, token="secret", run=None, rows=(), state=UNDEFINED):
        self.done = []
        self.log = structlog.get_logger()
        hooks = {} if run is None else {"run": SimpleNamespace(function=run)}
        tab = InspectorTab(id="state", hidden=True)
        self.definition = SimpleNamespace(has_state=state is not UNDEFINED, hooks=hooks, actions={"b": 1, "a": 2}, inspector_tabs=(tab,))
        self.options = SimpleNamespace(max_queue_size=10)
        self.host = SimpleNamespace(options=SimpleNamespace(fixed_inspector_token=None))
        self.storage = Rows(token, rows)
        self.state = SimpleNamespace(value=state, replace=self._replace, flush=lambda: self.done.append("flush"))
        self.saver = SimpleNamespace(save_now=self.noting("saved"))
        self.conns = SimpleNamespace(view={})
        self.actions = SimpleNamespace(run_detached=self.action, call_action=self.action)
        self.queue = self.queue_sends = Queue([])
        self.schedules = SimpleNamespace(
            pending=lambda: [Schedule("s", "run", [], 5)], recurring=list, remove=self.remove, history=SimpleNamespace(of=lambda *_: [])
        )  # fmt: skip
        self.run = SimpleNamespace(active=False, held=nullcontext)
        self.database = SimpleNamespace(inspector_client=self.client)
        self.work = self
        self.adopted = []

    def _replace(self, value):
        self.state.value = value

    def noting(self, what):
        async def note(*_):
            self.done.append(what)

        return note

    @contextmanager
    def region(self, kind):
        self.done.append(f"+{kind.label}")
        yield
        self.done.append(f"-{kind.label}")

    def adopt(self, work):
        self.adopted.append(asyncio.ensure_future(work))

    def accepting(self):
        """Always."""

    async def action(self, name, args, *_):
        return [name, *args]

    async def remove(self, schedule_id, *, recurring):
        return recurring

    async def client(self):
        return self

    async def execute(self, sql, *args):
        return [{"sql": sql, "args": list(args)}]

    async def commit(self, ops):
        self.done.append(len(ops))


class Queue(list):
    """A queue is as long as its messages."""

    messages = property(lambda self: self)

    async def enqueue(self, name, body):
        self.append(SimpleNamespace(id=len(self) + 1, name=name, created_at=7))
        return self[-1]


async def stored_history():
    """The rows of a workflow with two steps."""
    owner = FakeOwner()
    run = run_of(owner)
    for name in ("a", "b"):
        run.history.add((name,), "step", {"output": name}, with_meta=True)
    run.history.set_outcome("completed")
    await run.flush()
    return [(op.key, op.value) for op in owner.batches[0]]


class Flow:
    @workflow
    async def run(self, ctx):
        """Nothing."""


async def settled():
    """Everything that is ready has run."""
    for _ in range(10):
        await asyncio.sleep(0)


async def ask(actor, method, path, body=b"", *, query="", token="Bearer secret"):
    reply = await answer_http(InspectorRequest(actor, method, f"/inspector/{path}", query, token, body))
    return reply.status, jsontext.loads(reply.body)


class Socket:
    """`ActorSocket`, as far as an inspector uses one."""

    def __init__(self, query, *protocols):
        request = Request("GET", f"http://127.0.0.1/inspector/connect?{query}", {})
        self.upgrade = Upgrade("actor1", request, protocols, "ray")
        self.sent, self.closed, self.sink = [], [], None
        self.held = False

    def attach(self, sink, *, hibernatable):
        self.sink = sink

    def hold(self):
        self.held = True

    def resume(self):
        self.held = False

    def send(self, frame):
        self.sent.append(frame[0])

    def close(self, code, reason):
        self.closed.append((code, reason))
