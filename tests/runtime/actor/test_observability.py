"""Metrics and logs (section 8)."""

import asyncio

import pytest
import structlog
from structlog.testing import capture_logs

from runtime.actor.ports import StopReason
from runtime.errors import make_error
from runtime.logs import Allowance, LimitedLog
from runtime.metrics.registry import Metrics
from tests.runtime.actor.support import Actor, Options, World, action, caught, virtual


class Busy(Actor):
    options = Options(sleep_timeout=1, sleep_grace_period=1)
    state = {"n": 0}

    @action
    async def work(self, c, seconds):
        await asyncio.sleep(seconds)
        c.state.n += 1

    @action
    async def wait(self, c):
        await c.queue.next(["jobs"], timeout=1)

    @action
    def keep(self, c, seconds):
        c.keep_awake(asyncio.sleep(seconds))
        c.wait_until(asyncio.sleep(seconds))

    @action
    def fail(self, c):
        raise RuntimeError("the secret")

    @action
    def masked(self, c):
        raise make_error("actor.not_configured", component="x")

    @action
    def sleep(self, c):
        c.sleep()


@virtual
async def test_gauges_follow_the_work_and_return():
    async with World(Busy) as world:
        await world.start()
        assert world.metric("active_count", actor_name="busy") == 1
        assert world.metric("started_total") == 1
        calls = [asyncio.ensure_future(world.call("work", 0.5)), asyncio.ensure_future(world.call("wait"))]
        await world.call("keep", 0.5)
        await asyncio.sleep(0.01)
        active = {kind: world.metric("user_tasks_active", kind=kind) for kind in ("action", "http", "queue_wait", "wait_until")}
        assert active == {"action": 2, "http": 2, "queue_wait": 1, "wait_until": 1}
        assert world.metric("keep_awake_active", kind="keep_awake") == 1
        assert world.metric("http_requests_active") == 2
        assert world.metric("shutdown_tasks_active") == 1
        assert world.metric("connections_active") == 2
        await asyncio.gather(*calls)
        await asyncio.sleep(0.01)
        for suffix in ("user_tasks_active", "keep_awake_active", "http_requests_active", "shutdown_tasks_active", "connections_active"):
            assert set(world.metrics_ending(suffix)) == {0}, suffix
        assert world.metric("user_task_duration_seconds_count", kind="action") == 3
        await world.call("sleep")
        await world.asleep()
        assert world.metric("active_count") == 0
        assert world.metric("stopped_total") == 1
        assert world.metric("user_task_duration_seconds_count", kind="sleep_finalize") == 1
        assert world.metric("shutdown_wait_seconds_count", reason="sleep") == 1


@virtual
async def test_startup_phases():
    class Fails(Actor):
        def on_wake(self, c):
            raise RuntimeError

    async with World(Busy) as world, World(Fails) as fails:
        await world.start()
        for phase in ("core_init", "runtime_preamble", "post_ready", "total"):
            assert world.metric("startup_phase_duration_seconds_count", phase=phase, is_new="true", outcome="success") == 1
        assert world.metric("startup_phase_duration_seconds_count", phase="load_persisted", is_new="unknown") == 1
        assert world.metric("state_mutation_total", reason="internal_replace") == 1
        assert world.metric("state_mutation_total", reason="has_initialized") == 1
        await world.restart()
        assert world.metric("startup_phase_duration_seconds_count", phase="total", is_new="false", outcome="success") == 1
        with pytest.raises(RuntimeError):
            await fails.start()
        assert fails.metric("startup_phase_duration_seconds_count", phase="total", is_new="true", outcome="error") == 1
        assert fails.metric("started_total") == 0


def test_an_idle_actor_lists_every_kind_and_reason():
    metrics = Metrics()
    metrics.of("idle")
    text = metrics.render().decode()
    for kind in ("action", "http", "websocket_lifetime", "queue_wait", "sleep_finalize", "destroy_request", "registered_task"):
        assert f'rivet_rivetkit_actor_user_tasks_active{{actor_name="idle",kind="{kind}"}} 0.0' in text
    for reason in ("internal_replace", "has_initialized", "input_set", "scheduled_events_update"):
        assert f'rivet_rivetkit_actor_state_mutation_total{{actor_name="idle",reason="{reason}"}} 0.0' in text
    for inbox in ("lifecycle", "dispatch", "lifecycle_event"):
        assert f'rivet_rivetkit_actor_inbox_depth{{actor_name="idle",inbox="{inbox}"}} 0.0' in text
    assert 'dispatch_inbox_overload_total{actor_name="idle",command="dispatch_action"} 0.0' in text
    assert 'direct_subsystem_shutdown_warning_total{actor_name="idle",subsystem="http_requests",operation="destroy_drain"} 0.0' in text


@virtual
async def test_inbox_depth_counts_what_waits():
    async with World(Busy) as world:
        task = await world.start()
        calls = [asyncio.ensure_future(world.call("work", 0)) for _ in range(3)]
        while not len(task.dispatch_inbox):  # noqa: ASYNC110 - nothing announces a waiting item
            await asyncio.sleep(0)
        assert world.metric("inbox_depth", inbox="dispatch") == 3
        await asyncio.gather(*calls)
        assert world.metric("inbox_depth", inbox="dispatch") == 0


@virtual
async def test_lifecycle_records():
    with capture_logs() as records:
        async with World(Busy) as world:
            await world.start()
            await world.stop()
    moves = [(r["old"], r["new"]) for r in records if r["event"] == "actor lifecycle transition"]
    assert moves == [
        ("loading", "started"), ("started", "sleep_grace"), ("sleep_grace", "sleep_finalize"), ("sleep_finalize", "terminated"),
    ]  # fmt: skip
    steps = [r["step"] for r in records if r["event"] == "actor shutdown cleanup step completed"]
    assert steps == [
        "teardown_sleep_state", "wait_for_pending_state_writes", "sync_alarm", "wait_for_pending_alarm_writes", "cleanup_sqlite",
    ]  # fmt: skip
    commands = [(r["event"][24:], r["command"]) for r in records if r["event"].startswith("actor lifecycle command")]
    assert commands == [("received", "start"), ("replied", "start"), ("received", "stop"), ("replied", "stop")]


@virtual
async def test_every_record_names_actor_key_and_generation(capsys):
    async with World(Busy) as world:
        await world.start()
    line = capsys.readouterr().out.splitlines()[0]
    for text in (f"actor_id={world.actor_id}", "generation=1", "key=k"):
        assert text in line


@virtual
async def test_work_records():
    with capture_logs() as records:
        async with World(Busy) as world:
            await world.start()
            await world.call("keep", 0.1)
            await asyncio.sleep(0.2)
    pairs = [(r["event"], r["kind"]) for r in records if r["event"].startswith("sleep keep-awake")]
    assert pairs == [("sleep keep-awake engaged", "keep_awake"), ("sleep keep-awake disengaged", "keep_awake")]
    handled = [r["outcome"] for r in records if r["event"] == "actor dispatch command handled"]
    assert handled == ["enqueued"]


@virtual
async def test_event_records():
    """METRIC-053, METRIC-054: what a mutation and a requested save put into the event inbox, and that it was served."""

    class Writer(Actor):
        state = {"n": 0}

        @action
        def write(self, c):
            c.state.n += 1
            c.state.n += 1  # the save is on its way already

        @action
        async def save(self, c):
            await c.save_state()

    with capture_logs() as records:
        async with World(Writer) as world:
            await world.start()
            await world.call("write")
            await world.call("save")
    seen = [(r["event"], r["lifecycle_event"]) for r in records if "lifecycle_event" in r]
    assert seen == [
        (text, event)
        for event in ("state_mutated", "save_requested")
        for text in ("actor event enqueued", "actor event drained", "actor lifecycle event drained")
    ]


@virtual
async def test_masked_errors_are_logged_in_full():
    with capture_logs() as records:
        async with World(Busy) as world:
            await world.start()
            with pytest.raises(RuntimeError):
                await world.call("fail")
            with caught("actor.not_configured"):
                await world.call("masked")
    text = repr(records)
    assert "the secret" in text
    assert "Actor capability 'x' is not configured." in text


@virtual
async def test_the_deadline_record():
    class Late(Actor):
        options = Options(sleep_grace_period=0.5)

        async def on_sleep(self, c):
            c.wait_until(asyncio.sleep(100))
            await asyncio.sleep(100)

    with capture_logs() as records:
        async with World(Late) as world:
            await world.start()
            await world.stop(StopReason.GOING_AWAY)
    [record] = [r for r in records if r["event"] == "actor shutdown reached the grace deadline"]
    assert record["log_level"] == "warning"
    assert record["reason"] == "sleep"
    assert record["core_dispatched_hook_count"] == 1
    assert record["shutdown_task_count"] == 1
    for field in (
        "deadline_missed_by_ms", "sleep_keep_awake_count", "sleep_internal_keep_awake_count", "active_http_request_count",
        "websocket_callback_count", "pending_disconnect_count", "connection_count",
    ):  # fmt: skip
        assert field in record
    events = [r["event"] for r in records]
    assert "graceful cleanup aborted by shutdown grace deadline" in events
    assert {r["kind"] for r in records if r["event"] == "actor work cancelled by shutdown deadline"} == {"cleanup_hook", "wait_until"}


@virtual
async def test_rejections_are_logged_three_times_and_then_counted():
    with capture_logs() as records:
        async with World(Busy) as world:
            task = await world.start()
            await world.stop()
            for _ in range(10):
                with caught("actor.stopping"):
                    task.accepting()
    assert len([r for r in records if r["event"] == "work sent to stopping actor instance"]) <= 3


async def test_a_limited_log_tells_what_it_left_out(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now[0])
    with capture_logs() as records:
        limited = LimitedLog(structlog.get_logger(), "full", Allowance())
        for _ in range(5):
            limited.report(channel="x")
        now[0] += 31
        limited.report(channel="x")
    assert [r["suppressed"] for r in records] == [0, 0, 0, 2]


@virtual
async def test_tolerated_cases_write_no_errors(capsys):
    class Tolerant(Actor):
        options = Options(sleep_grace_period=0.2)
        vars = {"n": 0}

        def on_wake(self, c):
            c.abort_signal.add_listener(lambda: c.vars.update(n=1))

        async def on_sleep(self, c):
            c.wait_until(asyncio.sleep(0))
            c.keep_awake(asyncio.sleep(0, "value"))

            async def late():
                try:
                    await asyncio.sleep(1)
                finally:
                    c.vars["n"] = 2

            c.wait_until(late())

    async with World(Tolerant) as world:
        await world.start()
        await world.stop()
    captured = capsys.readouterr()
    assert "Traceback" not in captured.out + captured.err
