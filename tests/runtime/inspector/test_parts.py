"""Each part of the inspector by itself, on an actor that is nothing but values."""

import asyncio
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import pytest
import structlog

from runtime.actor.connections.sockets import Upgrade
from runtime.actor.observer import Part
from runtime.actor.rows import ACTOR_TABLE, INSPECTOR_TOKEN_KEY
from runtime.actor.schedule.records import Schedule
from runtime.declaration.tabs import InspectorTab
from runtime.errors import ActorError
from runtime.http import Request
from runtime.inspector import database_view, snapshots
from runtime.inspector import messages as m
from runtime.inspector.actor_view import ActorView
from runtime.inspector.answers import answer as answer_request
from runtime.inspector.assets import asset, is_public
from runtime.inspector.http import answer_http
from runtime.inspector.pushes import STATE_INTERVAL, Pushes
from runtime.inspector.render import render
from runtime.inspector.request import DEFAULT_LIMIT, InspectorRequest
from runtime.inspector.socket import open_inspector
from runtime.inspector.token import expected_token, header_token, is_authorized
from runtime.inspector.versions import MESSAGES
from runtime.inspector.workflow_view import history_bare, history_json
from runtime.protocol import cbor, jsontext
from runtime.protocol.payload import blob, load_value
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
        self.actions = SimpleNamespace(run_scheduled=self.action, call_action=self.action)
        self.queue = Queue([])
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

    async def send(self, name, body):
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


# Tokens.


@pytest.mark.parametrize(("given", "token"), [(None, None), ("", None), ("bearer  x", "x"), ("x", "x"), ("Basic x", "Basic x")])
def test_the_token_of_a_header(given, token):
    assert header_token(given) == token


async def test_a_fixed_token_replaces_the_stored_one():
    own, fixed = (SimpleNamespace(fixed_inspector_token=token) for token in (None, "all"))
    assert [await expected_token(settings, Rows("mine")) for settings in (own, fixed)] == ["mine", "all"]
    assert [await is_authorized(own, Rows("mine"), given) for given in ("mine", "Mine", "", None, "ä")] == [True, *[False] * 4]
    assert not await is_authorized(own, Rows(None), "mine")


# The view.


async def test_what_an_inspector_changes_counts_as_work():
    actor = FakeActor(state={"n": 1})
    view = ActorView(actor)
    await view.replace_state({"n": 2})
    assert view.state() == {"n": 2}
    assert actor.done == ["+internal_keep_awake", "flush", "saved", "-internal_keep_awake"]
    with pytest.raises(ActorError):
        await ActorView(FakeActor()).replace_state(1)


async def test_actions_are_run_by_name():
    view = ActorView(FakeActor())
    assert view.actions() == ["a", "b"]
    assert await view.run_action("a", [1]) == ["a", 1]
    with pytest.raises(ActorError, match="Action c not found"):
        await view.run_action("c", [])


async def test_the_live_history_is_newer_than_the_stored_one():
    actor = FakeActor(run=Flow().run, rows=await stored_history())
    view = ActorView(actor)
    assert view.is_workflow
    assert view.live_history is None
    assert len((await view.workflow_history()).entries) == 2
    actor.workflow = run_of()
    assert (await view.workflow_history()).entries == {}
    assert await ActorView(FakeActor()).workflow_history() is None


async def test_a_replay_is_durable_before_the_workflow_runs_again():
    actor = FakeActor(run=Flow().run, rows=await stored_history())
    view = ActorView(actor)
    entry = (await view.workflow_history()).find(("b",), "step")
    assert list((await view.replay_workflow(entry.id)).entries) == [("a",)]
    assert any(isinstance(item, int) for item in actor.done)
    actor.run.active = True
    with pytest.raises(ActorError) as flying:
        await view.replay_workflow(None)
    assert flying.value.name == "actor.workflow_in_flight"


# HTTP.


async def test_no_route_is_looked_for_without_the_token():
    assert (await ask(FakeActor(), "GET", "nowhere", token=None))[1]["code"] == "unauthorized"
    assert (await ask(FakeActor(), "GET", "nowhere"))[1]["code"] == "not_found"


async def test_short_errors_and_structured_ones():
    assert await ask(FakeActor(), "POST", "database/execute", b"{}") == (400, {"error": "sql is required"})
    status, body = await ask(FakeActor(), "PATCH", "state", b'{"state": 1}')
    assert (status, body["code"]) == (400, "state_not_enabled")
    assert (await ask(FakeActor(), "PATCH", "state", b"{"))[1]["code"] == "invalid_request"


async def test_failures_of_its_own_are_answered():
    actor = FakeActor()
    actor.schedules = actor.queue = None
    assert await ask(actor, "GET", "queue") == (
        500, {"group": "actor", "code": "internal_error", "message": "'NoneType' object has no attribute 'messages'", "metadata": None}
    )  # fmt: skip


async def test_a_queue_is_listed_up_to_a_limit():
    actor = FakeActor()
    for name in ("x", "y"):
        assert (await ask(actor, "POST", "queue", jsontext.dumps({"name": name})))[1]["name"] == name
    status, body = await ask(actor, "GET", "queue", query="limit=1.9")
    assert (status, body["size"], body["truncated"], len(body["messages"])) == (200, 2, True, 1)


@pytest.mark.parametrize(
    ("query", "limit"), [("limit=3.7", 3), ("limit=0", DEFAULT_LIMIT), ("limit=x", DEFAULT_LIMIT), ("", DEFAULT_LIMIT)]
)
def test_limits_are_read_with_leniency(query, limit):
    assert InspectorRequest(FakeActor(), "GET", "/", query, None, b"").limit() == limit


async def test_a_summary_has_the_parts_of_the_single_routes():
    status, body = await ask(FakeActor(state={"n": 1}), "GET", "summary")
    assert status == 200
    assert (body["state"], body["queueSize"], body["rpcs"], body["isWorkflowEnabled"]) == ({"n": 1}, 0, ["a", "b"], False)


async def test_only_files_of_shown_tabs_are_public(tmp_path):
    (tmp_path / "index.html").write_text("<p>")
    tabs = [InspectorTab(id="mine", label="Mine", source=str(tmp_path)), InspectorTab(id="queue", hidden=True)]
    assert is_public("GET", "/inspector/custom-tabs/mine/")
    assert not is_public("POST", "/inspector/custom-tabs/mine/")
    assert not is_public("GET", "/inspector/state")
    assert (await asset(tabs, "/inspector/custom-tabs/mine/")).body == b"<p>"
    for path in ("mine/../x", "mine/no.css", "queue/", "other/"):
        with pytest.raises(ActorError):
            await asset(tabs, f"/inspector/custom-tabs/{path}")


# Values.


def test_values_are_shown_as_json():
    assert render({"b": b"\x01", "u": UNDEFINED, "l": (1, UNDEFINED)}) == {"b": [1], "l": [1, None]}


async def test_names_of_tables_are_quoted_and_rows_counted():
    view = ActorView(FakeActor())
    assert await database_view.rows(view, 'a"b', 9999, -1) == [{"sql": 'SELECT * FROM "a""b" LIMIT ? OFFSET ?', "args": [500, 0]}]
    assert (await database_view.execute(view, "SELECT :a", None, {":a": True}))[0]["args"] == [{"a": 1}]
    for sql, values in (("SELECT 1; SELECT 2", None), ("SELECT :a", {})):
        with pytest.raises(ActorError):
            await database_view.execute(view, sql, None, values)


async def test_a_history_has_two_shapes():
    view = ActorView(FakeActor(run=Flow().run, rows=await stored_history()))
    history = await view.workflow_history()
    shown = history_json(history)
    assert shown["nameRegistry"] == ["a", "b"]
    assert [entry["kind"]["val"]["output"] for entry in shown["entries"]] == ["a", "b"]
    assert history_bare(history)[:5] == b"\x02\x01a\x01b"
    assert (history_bare(None), history_json(None)) == (None, None)


# The socket.


async def test_each_request_has_its_answer():
    view = ActorView(FakeActor(state={"n": 1}))
    assert await answer_request(view, m.StateRequest(1)) == m.StateResponse(1, blob({"n": 1}), True)
    assert load_value((await answer_request(view, m.ActionRequest(2, "a", blob([3])))).output) == ["a", 3]
    assert (await answer_request(view, m.ScheduleDeleteRequest(3, "s", "cron"))).deleted
    assert [item.id for item in (await answer_request(view, m.SchedulesRequest(4))).schedules] == ["s"]
    with pytest.raises(ValueError, match="invalid inspector schedule kind"):
        await answer_request(view, m.ScheduleDeleteRequest(5, "s", "never"))


def test_the_first_message_has_everything():
    init = snapshots.init(ActorView(FakeActor(state=1)), None)
    assert (init.state, init.rpcs, init.queue_size, init.tab_config) == (
        blob(1), ["a", "b"], 0, [m.TabConfig("state", None, None, True)],
    )  # fmt: skip


async def test_changes_of_one_turn_are_one_push_and_state_has_a_pace():
    actor, told = FakeActor(state=0), []
    view = ActorView(actor)
    pushes = Pushes.of(view)
    pushes.add(told.append)
    assert Pushes.of(view) is actor.observer is pushes
    for part in (Part.QUEUE, Part.QUEUE, Part.SCHEDULES, Part.STATE, Part.STATE):
        pushes.changed(part)
    await asyncio.sleep(STATE_INTERVAL / 5)
    assert {type(message) for message in told} == {m.StateUpdated, m.QueueUpdated, m.SchedulesUpdated}
    assert len(told) == 3
    pushes.changed(Part.STATE)
    await asyncio.sleep(STATE_INTERVAL / 5)
    assert len(told) == 3
    pushes.changed(Part.SAVED)
    await asyncio.sleep(0.001)
    assert len(told) == 4
    pushes.remove(told.append)
    assert actor.observer is None


class Socket:
    """`ActorSocket`, as far as an inspector uses one."""

    def __init__(self, query, *protocols):
        request = Request("GET", f"http://127.0.0.1/inspector/connect?{query}", {})
        self.upgrade = Upgrade("actor1", request, protocols, "ray")
        self.sent, self.closed, self.sink = [], [], None

    def attach(self, sink, *, hibernatable):
        self.sink = sink

    def send(self, frame):
        self.sent.append(frame[0])

    def close(self, code, reason):
        self.closed.append((code, reason))


@pytest.mark.parametrize(
    ("query", "token", "why"),
    [("protocol_version=7", "secret", "invalid_protocol_version"), ("protocol_version=6", "no", "unauthorized")],
)
async def test_a_socket_that_may_not_inspect_is_told_why(query, token, why):
    actor, socket = FakeActor(), Socket(query, f"rivet_inspector_token.{token}")
    await open_inspector(actor, socket)
    assert [reason for _, reason in socket.closed] == [f"inspector.{why}"]
    assert actor.adopted == []


async def test_a_socket_gets_init_first_and_answers_in_order():
    actor, socket = FakeActor(state=1), Socket("protocol_version=6", "rivet_inspector_token.secret")
    await open_inspector(actor, socket)
    await asyncio.sleep(0)
    socket.sink.on_message(1, bytes([99]))
    socket.sink.on_message(2, "text")
    await settled()
    assert [MESSAGES[6][tag] for tag in socket.sent] == [m.Init, m.Error, m.Error]
    socket.sink.on_close(1000, "")
    await actor.adopted[0]
    assert actor.observer is None
    assert socket.closed == [(1000, "actor.stopped")]


async def test_a_socket_whose_first_message_fails_is_closed():
    actor, socket = FakeActor(), Socket("protocol_version=6", "rivet_inspector_token.secret")
    actor.definition.inspector_tabs = None
    await open_inspector(actor, socket)
    await actor.adopted[0]
    assert socket.closed[0] == (1011, "inspector.init_error")
