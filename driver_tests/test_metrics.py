"""Suite metrics: what an actor's work leaves in the Prometheus text of its runtime."""

from __future__ import annotations

import pytest

from driver_tests.metering import scrape
from harness import any_encoding, capability, requirement, suite, timing

pytestmark = [suite("metrics"), capability("metrics")]

STARTUP_BUCKETS = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, float("inf")}
INBOXES = {"lifecycle", "dispatch", "lifecycle_event"}
KINDS = {"action", "queue_wait", "scheduled_action", "disconnect_callback", "wait_until", "sleep_finalize", "destroy_request"}


@requirement("METRIC-002", "METRIC-020")
async def test_calls_are_timed(conform):
    """Each call of an action is one observation of kind action, failing ones too."""
    actor = conform.get_or_create("errorHandlingActor")
    await actor.action("successfulAction")
    before = await scrape(conform, actor, "errorHandlingActor")
    await actor.action("successfulAction")
    await conform.settled(conform.spawn(actor.action("throwSimpleError")))
    await actor.action("delayedAction", 30)
    after = await scrape(conform, actor, "errorHandlingActor")
    count = "user_task_duration_seconds_count"
    assert after.value(count, kind="action") - before.value(count, kind="action") == 3
    total = "user_task_duration_seconds_sum"
    # A target whose clock counts milliseconds may find the wait one too short.
    assert after.value(total, kind="action") - before.value(total, kind="action") >= 0.029


@requirement("METRIC-001", "METRIC-024")
@timing
async def test_active_work_is_counted_while_it_runs(conform, eventually):
    """The gauge rises with a running action and falls when it ends."""
    actor = conform.get_or_create("sleepWithLongRpc")
    async with conform.connected(actor) as conn:
        idle = (await scrape(conform, actor, "sleepWithLongRpc")).value("user_tasks_active", kind="action")
        waiting = []
        conn.on("waiting", lambda: waiting.append(True))
        pending = conform.spawn(conn.action("longRunningRpc"))
        await eventually(lambda: waiting, until=bool, what="the running action")
        assert (await scrape(conform, actor, "sleepWithLongRpc")).value("user_tasks_active", kind="action") == idle + 1
        await conn.action("finishLongRunningRpc")
        await pending
        await eventually(
            lambda: scrape(conform, actor, "sleepWithLongRpc"),
            until=lambda figures: figures.value("user_tasks_active", kind="action") == idle,
            what="the gauge at its old value",
        )


@requirement("METRIC-024")
async def test_failed_work_leaves_the_gauge(conform, eventually, expect_error):
    """An action that throws and one that times out are not counted as active afterwards."""
    actor = conform.get_or_create("customTimeoutActor")
    await actor.action("quickAction")
    idle = (await scrape(conform, actor, "customTimeoutActor")).value("user_tasks_active", kind="action")
    async with expect_error("actor", "action_timed_out"):
        await actor.action("slowAction")
    async with expect_error("actor", "action_not_found"):
        await actor.action("noSuchAction")
    await eventually(
        lambda: scrape(conform, actor, "customTimeoutActor"),
        until=lambda figures: figures.value("user_tasks_active", kind="action") == idle,
        what="the gauge at its old value",
    )


@requirement("METRIC-003", "METRIC-022")
async def test_state_mutations_of_a_start(conform):
    """A new actor loads its record once and becomes initialized once; calls add neither."""
    first = conform.get_or_create("saveStateActor", conform.unique_key())
    await first.resolve()
    await first.action("getValue")
    before = await scrape(conform, first, "saveStateActor")
    second = conform.get_or_create("saveStateActor", conform.unique_key())
    await second.action("getValue")
    await second.action("getValue")
    after = await scrape(conform, first, "saveStateActor")
    for reason in ("internal_replace", "has_initialized"):
        assert after.value("state_mutation_total", reason=reason) - before.value("state_mutation_total", reason=reason) == 1


@requirement("METRIC-005")
async def test_inboxes_are_listed_by_name(conform):
    """The depth of the inboxes is shown, and an idle actor's are empty."""
    actor = conform.get_or_create("saveStateActor")
    await actor.action("getValue")
    figures = await scrape(conform, actor, "saveStateActor")
    assert {"lifecycle", "dispatch"} <= figures.label("inbox_depth", "inbox") <= INBOXES
    assert figures.value("inbox_depth") == 0


@requirement("METRIC-007", "METRIC-024")
@timing
async def test_keep_awake_regions_are_counted(conform, eventually):
    """A running keep-awake region is in the gauge until it ends."""
    actor = conform.get_or_create("sleepKeepAwakeUntilIdle")
    await actor.action("startSingleKeepAwake")
    await eventually(
        lambda: scrape(conform, actor, "sleepKeepAwakeUntilIdle"),
        until=lambda figures: figures.value("keep_awake_active", kind="keep_awake") >= 1,
        what="the region in the gauge",
    )
    await eventually(
        lambda: scrape(conform, actor, "sleepKeepAwakeUntilIdle"),
        until=lambda figures: figures.value("keep_awake_active", kind="keep_awake") == 0,
        what="the region out of the gauge",
    )


@requirement("METRIC-013", "METRIC-009")
@timing
async def test_sleep_and_wake_are_counted(conform, boundary):
    """A sleep stops one generation for the reason sleep, and the wake starts one."""
    actor = conform.get_or_create("uniqueVarActor")
    witness = conform.get_or_create("uniqueVarActor", conform.unique_key())
    await actor.action("getVars")
    await witness.action("getVars")
    before = await scrape(conform, witness, "uniqueVarActor")
    await boundary.sleep(actor, via="api")
    asleep = await scrape(conform, witness, "uniqueVarActor")
    assert asleep.value("stopped_total") - before.value("stopped_total") >= 1
    assert asleep.value("active_count") < before.value("active_count")
    waits = "shutdown_wait_seconds_count"
    assert asleep.value(waits, reason="sleep") - before.value(waits, reason="sleep") >= 1
    await conform.get_or_create("uniqueVarActor").action("getVars")
    awake = await scrape(conform, witness, "uniqueVarActor")
    assert awake.value("started_total") - asleep.value("started_total") == 1
    assert awake.value("active_count") > asleep.value("active_count")


@requirement("METRIC-009", "METRIC-013")
@timing
async def test_destroy_is_counted(conform, boundary):
    """A destroy is one wait of reason destroy."""
    witness = conform.get_or_create("destroyActor", conform.unique_key())
    await witness.action("getValue")
    actor = conform.get_or_create("destroyActor")
    await actor.action("getValue")
    before = await scrape(conform, witness, "destroyActor")
    await boundary.destroy(actor)
    after = await scrape(conform, witness, "destroyActor")
    waits = "shutdown_wait_seconds_count"
    assert after.value(waits, reason="destroy") - before.value(waits, reason="destroy") == 1
    assert after.value("stopped_total") - before.value("stopped_total") >= 1


@requirement("METRIC-014", "METRIC-025", "METRIC-026")
@timing
async def test_startup_phases(conform, boundary):
    """A first start and a wake are told apart, and the buckets are the specified ones."""
    actor = conform.get_or_create("uniqueVarActor")
    await actor.action("getVars")
    before = await scrape(conform, actor, "uniqueVarActor")
    await boundary.sleep(actor, via="api")
    actor = conform.get_or_create("uniqueVarActor")
    await actor.action("getVars")
    after = await scrape(conform, actor, "uniqueVarActor")
    starts = "startup_phase_duration_seconds_count"
    for phase, is_new, more in (("total", "false", 1), ("total", "true", 0), ("load_persisted", "unknown", 1)):
        labels = {"phase": phase, "is_new": is_new, "outcome": "success"}
        assert after.value(starts, **labels) - before.value(starts, **labels) == more, labels
    bounds = {float(one) for one in after.label("startup_phase_duration_seconds_bucket", "le")}
    assert bounds == STARTUP_BUCKETS


@requirement("METRIC-016")
async def test_connections_are_counted(conform, eventually):
    """Open connections are a gauge, accepted ones a counter."""
    actor = conform.get_or_create("counterConn")
    await actor.resolve()
    before = await scrape(conform, actor, "counterConn")
    async with conform.connected(actor), conform.connected(actor):
        during = await scrape(conform, actor, "counterConn")
    assert during.value("connections_active") + during.value("active_connections") >= 2
    assert during.value("connections_total") - before.value("connections_total") == 2
    await eventually(
        lambda: scrape(conform, actor, "counterConn"),
        until=lambda figures: figures.value("connections_active") == before.value("connections_active"),
        what="no open connection in the gauge",
    )


@requirement("METRIC-017")
async def test_queue_traffic_is_counted(conform):
    """Messages sent and received are counters, stored ones a gauge."""
    actor = conform.get_or_create("queueActor")
    await actor.action("tryReceiveMany", {"names": ["a"], "count": 5})
    before = await scrape(conform, actor, "queueActor")
    for body in range(3):
        await actor.send("a", body)
    stored = await scrape(conform, actor, "queueActor")
    assert stored.value("queue_messages_sent_total") - before.value("queue_messages_sent_total") == 3
    assert stored.value("queue_depth") - before.value("queue_depth") == 3
    assert len(await actor.action("tryReceiveMany", {"names": ["a"], "count": 5})) == 3
    drained = await scrape(conform, actor, "queueActor")
    assert drained.value("queue_messages_received_total") - before.value("queue_messages_received_total") == 3
    assert drained.value("queue_depth") == before.value("queue_depth")


@requirement("METRIC-006", "TASK-006")
@capability("overload")
async def test_refused_calls_are_counted(conform):
    """Every call that a full inbox refused is in the overload counter."""
    actor = conform.get_or_create("overloadActor")
    await actor.action("getAccepted")
    before = await scrape(conform, actor, "overloadActor")
    async with conform.connected(actor) as conn:
        calls = [conform.spawn(conn.action("accept", number)) for number in range(60)]
        failures = [await conform.settled(call) for call in calls]
    refused = sum(failure is not None for failure in failures)
    assert refused > 0
    after = await scrape(conform, actor, "overloadActor")
    assert after.value("dispatch_inbox_overload_total") - before.value("dispatch_inbox_overload_total") == refused


@requirement("METRIC-023")
@any_encoding
@capability("metric_labels")
@pytest.mark.parametrize(
    ("family", "label", "values"),
    [
        ("user_tasks_active", "kind", KINDS),
        ("inbox_depth", "inbox", INBOXES),
        ("keep_awake_active", "kind", {"keep_awake", "internal_keep_awake"}),
        ("state_mutation_total", "reason", {"internal_replace", "has_initialized", "input_set", "scheduled_events_update"}),
        ("shutdown_wait_seconds_count", "reason", {"sleep", "destroy"}),
        ("shutdown_timeout_total", "reason", {"sleep", "destroy"}),
        ("startup_phase_duration_seconds_count", "phase", {"load_persisted", "core_init", "runtime_preamble", "post_ready", "total"}),
    ],
)
async def test_labels_are_there_from_the_start(conform, family, label, values):
    """A scrape of an idle actor lists every kind and reason."""
    actor = conform.get_or_create("staticVarActor")
    await actor.resolve()
    assert values <= (await scrape(conform, actor, "staticVarActor")).label(family, label)


@requirement("WIRE-303")
@timing
async def test_a_scrape_is_no_activity(conform, eventually):
    """An actor that is scraped again and again falls asleep all the same; the next scrape then wakes it."""
    actor = conform.get_or_create("sleep")
    await actor.action("getCounts")
    before = await scrape(conform, actor, "sleep")
    await eventually(
        lambda: scrape(conform, actor, "sleep"),
        until=lambda figures: figures.value("started_total") > before.value("started_total"),
        what="a wake of the actor that is only scraped",
        timeout=15.0,
    )
    assert (await actor.action("getCounts"))["startCount"] > 1
