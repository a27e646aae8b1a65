"""What the corpus cannot see of a served inspector: tabs, fixed tokens, cleanup, failures of its own."""

import asyncio
import base64
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import connect

from runtime import Actor, Context, HostOptions, InspectorTab, Registry, action
from runtime.inspector import messages as m
from runtime.inspector import snapshots
from runtime.inspector.bare_records import read_record
from runtime.inspector.versions import MESSAGES
from runtime.protocol.bare import Reader
from runtime.protocol.payload import load_value
from runtime.workflow import workflow
from tests.runtime.gateway.support import serving

QUERY = "rvt-namespace=default&rvt-method=getOrCreate&rvt-pool=default&rvt-key=k"


class Plain(Actor):
    name = "plain"
    state = {"count": 0}

    @action
    async def nap(self, c: Context) -> None:
        c.sleep()

    @action
    def add(self, c: Context, amount: int) -> int:
        c.state.count += amount
        return c.state.count

    @action
    async def every(self, c: Context) -> None:
        await c.cron.every(name="tick", interval=60, action="add", args=[1])


def read(frame):
    reader = Reader(frame)
    return read_record(reader, MESSAGES[6][reader.byte()])


async def token_of(client):
    reply = await client.get(f"/gateway/plain/inspector/state?{QUERY}")
    actor_id = reply.headers["x-rivet-actor"]
    reply = await client.get(f"/actors/{actor_id}/kv/keys/Aw==", params={"namespace": "default"})
    return actor_id, base64.b64decode(reply.json()["value"]).decode() if reply.status_code == 200 else None


@asynccontextmanager
async def opened(client, actor_id, token):
    url = f"ws://127.0.0.1:{client.port}/gateway/{actor_id}/inspector/connect?protocol_version=6"
    async with connect(url, subprotocols=["rivet", f"rivet_inspector_token.{token}"]) as socket:
        yield socket


async def until(socket, kind):
    async with asyncio.timeout(10):
        while not isinstance(message := read(await socket.recv()), kind):
            continue
    return message


@pytest.mark.parametrize(("options", "token"), [(HostOptions(test_mode=True), "token"), (HostOptions(inspector_token="fixed"), "fixed")])
async def test_a_fixed_token_replaces_all(options, token):
    async with serving(Registry(Plain), options) as client:
        _, own = await token_of(client)
        assert own is None
        for given, status in ((token, 200), ("other", 401)):
            reply = await client.get(f"/gateway/plain/inspector/state?{QUERY}", headers={"authorization": f"Bearer {given}"})
            assert reply.status_code == status


async def test_the_environment_fixes_nothing(monkeypatch):
    monkeypatch.setenv("_RIVET_TEST_INSPECTOR_TOKEN", "from the environment")
    async with serving(Registry(Plain)) as client:
        actor_id, own = await token_of(client)
        for given, status in ((own, 200), ("from the environment", 401)):
            reply = await client.get(f"/gateway/{actor_id}/inspector/state", headers={"authorization": f"Bearer {given}"})
            assert reply.status_code == status


async def sql(client, actor_id, token, text, **values):
    body, headers = {"sql": text, **values}, {"authorization": f"Bearer {token}"}
    return await client.post(f"/gateway/{actor_id}/inspector/database/execute", json=body, headers=headers)


async def test_sql_of_an_inspector_reaches_no_other_file(tmp_path):
    async with serving(Registry(Plain), storage=tmp_path) as client:
        known = await token_of(client)
        assert (await sql(client, *known, "CREATE TABLE t(a, b)")).json() == {"rows": []}
        before = sorted(path.name for path in tmp_path.rglob("*"))
        for text in (f"ATTACH '{tmp_path}/runtime.sqlite3' AS r", f"VACUUM INTO '{tmp_path}/copy'", f"ATTACH '{tmp_path}/pwned.sh' AS p"):
            reply = await sql(client, *known, text)
            assert (reply.status_code, reply.json()["code"]) == (500, "internal_error")
            assert "inspector may not use ATTACH" in reply.json()["metadata"]["error"]
        assert sorted(path.name for path in tmp_path.rglob("*")) == before
        assert (await sql(client, *known, "VACUUM")).json() == {"rows": []}


async def test_what_is_one_statement_and_what_is_a_value():
    async with serving(Registry(Plain)) as client:
        known = await token_of(client)
        for text in ("CREATE TABLE t(a, b)", "CREATE TRIGGER r AFTER INSERT ON t BEGIN UPDATE t SET b = ';'; UPDATE t SET a = a; END;",
                     "SELECT ';'; -- a comment; with two", "/* ; */ SELECT 1;"):  # fmt: skip
            assert (await sql(client, *known, text)).status_code == 200, text
        for text in ("SELECT 1; SELECT 2", "SELECT 1; ATTACH 'x' AS y", "SELECT ';'; SELECT 2", "CREATE TABLE u(a); DROP TABLE u"):
            reply = await sql(client, *known, text)
            assert (reply.status_code, reply.json()["metadata"]) == (500, {"error": "only one statement may be executed"}), text
        for values in ({"args": [True, False]}, {"properties": {"x": True, ":y": False}}):
            text = "SELECT ? AS a, ? AS b" if "args" in values else "SELECT :x AS a, $y AS b"
            assert (await sql(client, *known, text, **values)).json() == {"rows": [{"a": 1, "b": 0}]}
            assert (await sql(client, *known, text.replace("SELECT", "INSERT INTO t SELECT"), **values)).status_code == 200
        assert (await sql(client, *known, "SELECT a, b FROM t")).json()["rows"][0] == {"a": 1, "b": ";"}


async def test_tabs_are_served_and_announced(tmp_path):
    (tmp_path / "index.html").write_text("hello")

    class Tabbed(Plain):
        inspector_tabs = (InspectorTab(id="mine", label="Mine", source=tmp_path, icon="star"), InspectorTab(id="queue", hidden=True))

    async with serving(Registry(Tabbed)) as client:
        actor_id, token = await token_of(client)
        reply = await client.get(f"/gateway/{actor_id}/inspector/custom-tabs/mine/")
        assert (reply.status_code, reply.text, reply.headers["content-type"]) == (200, "hello", "text/html")
        async with opened(client, actor_id, token) as socket:
            init = await until(socket, m.Init)
            assert init.tab_config == [m.TabConfig("mine", "Mine", "star", False), m.TabConfig("queue", None, None, True)]


async def test_nobody_watches_when_the_last_socket_is_gone():
    async with serving(Registry(Plain)) as client:
        actor_id, token = await token_of(client)
        task = client.app.host.slots.get(actor_id).task
        assert task.observer is None
        async with opened(client, actor_id, token) as first:
            await until(first, m.Init)
            async with opened(client, actor_id, token) as second:
                await until(second, m.Init)
            observer = task.observer
            assert observer is not None
        async with asyncio.timeout(5):
            while task.observer is not None:  # noqa: ASYNC110 - nothing tells that nobody watches
                await asyncio.sleep(0.01)


async def test_a_first_message_that_fails_closes_with_1011(monkeypatch):
    def broken(*_):
        raise RuntimeError("no")

    monkeypatch.setattr(snapshots, "init", broken)
    async with serving(Registry(Plain)) as client, opened(client, *await token_of(client)) as socket:
        async with asyncio.timeout(5):
            await socket.wait_closed()
        assert (socket.close_code, socket.close_reason) == (1011, "inspector.init_error")


async def test_replays_at_the_same_time_do_not_overlap(monkeypatch):
    class Steps(Actor):
        name = "plain"
        state = {"runs": 0}

        @workflow
        async def run(self, ctx):
            async def count(step):
                step.state.runs += 1

            await ctx.step("count", count)

    async with serving(Registry(Steps)) as client:
        actor_id, token = await token_of(client)
        headers = {"authorization": f"Bearer {token}"}

        async def post():
            return (await client.post(f"/gateway/{actor_id}/inspector/workflow/replay", json={}, headers=headers)).status_code

        async def shown(path):
            return (await client.get(f"/gateway/{actor_id}/inspector/{path}", headers=headers)).json()

        async def settled():
            await client.app.host.slots.get(actor_id).task.run.join()
            return (await shown("state"))["state"]["runs"]

        before = await settled()
        commit = client.app.host.storage.commit

        async def slow_commit(scope, ops):
            await asyncio.sleep(0.01)
            await commit(scope, ops)

        monkeypatch.setattr(client.app.host.storage, "commit", slow_commit)
        answers = await asyncio.gather(*(post() for _ in range(8)))
        assert set(answers) <= {200, 409} and 200 in answers
        assert await settled() == before + answers.count(200)


async def test_recurring_schedules():
    async with serving(Registry(Plain)) as client:
        actor_id, token = await token_of(client)
        async with opened(client, actor_id, token) as socket:
            await until(socket, m.Init)
            reply = await client.post(f"/gateway/{actor_id}/action/every", json={"args": []}, headers={"x-rivet-encoding": "json"})
            assert reply.status_code == 200, reply.text
            [shown] = (await until(socket, m.SchedulesUpdated)).schedules
            assert (shown.id, shown.name, shown.kind, shown.action, shown.interval_ms) == ("tick", "tick", "every", "add", 60_000)
            assert load_value(shown.args) == [1] and shown.max_history == 100
