"""A damaged row costs its own actor an error that says so, and nobody else anything."""

import contextlib

import cbor2
import pytest
from structlog.testing import capture_logs

from runtime import Actor, HostOptions, Registry, action
from runtime.actor.connections.hibernation import records as connection_records
from runtime.actor.queue.message_queue import MessageQueue
from runtime.actor.rows import ACTOR_TABLE, ALARM_KEY, INIT_KEY, INSPECTOR_TOKEN_KEY, RUN_WAKE_KEY, STATE_KEY
from runtime.actor.schedule.alarm import Alarm
from runtime.actor.schedule.history import ScheduleHistory
from runtime.actor.schedule.records import Schedule
from runtime.errors import ActorError
from runtime.hosting.standalone import records
from runtime.hosting.standalone.host import StandaloneHost
from runtime.hosting.standalone.namespaces import TABLE as NAMESPACES
from runtime.hosting.standalone.records import ActorRecord
from runtime.inspector.token import stored_token
from runtime.protocol.decode_errors import DecodeError
from runtime.storage.base import HOST_SCOPE, Put
from runtime.storage.memory import MemoryStorage
from runtime.workflow.history import History
from tests.runtime.parts import Owner

SHARED = bytes.fromhex("d81c82d81d0000")
DAMAGED = [
    b"", b"\xff", b"\x80", b"\xa0", b"\x61x", b"\x82\x01", b"\x18", SHARED, b"\x9b" + b"\xff" * 8, b"\x81" * 9_999, cbor2.dumps([1] * 30),
]  # fmt: skip


class Stored:
    def __init__(self, value):
        self.value = value

    async def get(self, table, key):
        return self.value


def load_queue(value):
    MessageQueue.load(MessageQueue.__new__(MessageQueue), {"queue": [(b"\x00" * 8, value)]})


@pytest.mark.parametrize("value", DAMAGED, ids=lambda value: value[:9].hex())
async def test_every_row_of_an_actor_is_read_or_a_decode_error(value):
    alarm = Alarm(Owner(), None)
    loads = [
        lambda: load_queue(value),
        lambda: ScheduleHistory(Owner()).load({"schedule_history": [(b"\x01", value)]}),
        lambda: alarm.load({ACTOR_TABLE: [(RUN_WAKE_KEY, value)]}),
        lambda: alarm.load({ACTOR_TABLE: [(ALARM_KEY, value)]}),
        lambda: records.decode(value),
        *(lambda key=key: History.load([(key, value)]) for key in (b"n0", b"e1", b"m1", b"nx", b"e\xff")),
    ]
    for load in loads:
        with contextlib.suppress(DecodeError):
            load()
    with pytest.raises(DecodeError):
        records.decode(value)
    with pytest.raises(DecodeError):
        alarm.load({ACTOR_TABLE: [(ALARM_KEY, value)]})
    for kinds in ([5, b"", 1], ["x", "y", 1], ["x", b"", "z"]):
        with pytest.raises(DecodeError):
            load_queue(cbor2.dumps(kinds))
    fire = {"name": "x", "action": "y", "scheduled_at": 1, "fired_at": 2, "result": "ok"}
    for name, other in (("scheduled_at", "x"), ("result", 5), ("error", 5)):
        with pytest.raises(DecodeError):
            ScheduleHistory(Owner()).load({"schedule_history": [(b"\x01", cbor2.dumps({**fire, name: other}))]})
    # The two that have always been left out one by one.
    with pytest.raises(Exception):  # noqa: B017 - whatever it is, the book says it and goes on
        Schedule.load(b"s", value)
    rows = {connection_records.CONN: [(b"\xff", value)], connection_records.CONN_STATE: [(b"\xff", value)]}
    found, broken = connection_records.load(rows)
    assert (found, set(broken)) == ([], {"\ufffd"})
    if value != b"\x61x":
        with pytest.raises(DecodeError):
            await stored_token(Stored(value))


class Counter(Actor):
    name = "counter"
    state = {"n": 1}

    @action
    def read(self, c):
        return c.state.n


@pytest.mark.parametrize("key", [STATE_KEY, INIT_KEY, INSPECTOR_TOKEN_KEY, ALARM_KEY])
@pytest.mark.parametrize("value", [b"\xff", SHARED, b"\xa1\x01\x02"], ids=bytes.hex)
async def test_a_damaged_actor_does_not_start_and_all_others_do(key, value):
    storage = MemoryStorage()
    host = StandaloneHost(Registry(Counter), storage, HostOptions())
    await host.open()
    space = host.namespaces.require("default")
    slots = [await host.create(space, "counter", name, "default", None) for name in ("a", "b")]
    for slot in slots:
        assert (await host.reach.live(slot.actor_id)).task
    await host.close()
    await storage.open()
    await storage.commit(slots[0].actor_id, [Put(ACTOR_TABLE, key, value)])
    host = StandaloneHost(Registry(Counter), storage, HostOptions(ready_timeout=0.3))
    await host.open()
    with capture_logs() as logs:
        # A start does not look at the token, and a state may have keys of any kind.
        if key == INSPECTOR_TOKEN_KEY or (key == STATE_KEY and value[0] == 0xA1):
            assert (await host.reach.live(slots[0].actor_id)).task
        else:
            with pytest.raises((ActorError, TimeoutError)):
                await host.reach.live(slots[0].actor_id)
            assert any("DecodeError" in entry.get("error", "") for entry in logs)
    assert (await host.reach.live(slots[1].actor_id)).task
    await host.close()


async def test_a_host_starts_without_the_records_that_cannot_be_read():
    storage = MemoryStorage()
    await storage.open()
    space = [["n", "default", "Default", 5, {"default": {"normal": {}}}, []], ["x", "other", "Other", 6, {}, []]]
    rows = [Put(NAMESPACES, row[0].encode(), cbor2.dumps(row)) for row in space]
    rows += [op for name in "ab" for op in ActorRecord(name, "n", "counter", name, "default", 7).ops()]
    rows += [Put(records.LIVE_TABLE, b"d%d" % n, value) for n, value in enumerate(DAMAGED)]
    rows += [Put(NAMESPACES, b"d%d" % n, value) for n, value in enumerate(DAMAGED)]
    columns = ["odd", "n", "counter", "o", "default", 7, None, 0, None, None, None, None, None, None, 9]
    for place, other in ((0, 5), (1, None), (2, b"x"), (3, 5), (5, "x"), (6, "x"), (7, None), (8, "x"), (14, "soon")):
        changed = [*columns[:place], other, *columns[place + 1 :]]
        rows.append(Put(records.LIVE_TABLE, b"odd%d" % place, cbor2.dumps(changed)))
    rows += [Put(table, b"\xff", b"\xff") for table in ("actors_destroyed", "actors_erasing", "destroyed_by_name", "destroyed_by_time")]
    rows += ActorRecord("lost", "nowhere", "counter", "c", "default", 8).ops()
    rows += [Put("names", b"n\x00\xff", b"\x01")]
    await storage.commit(HOST_SCOPE, rows)
    host = StandaloneHost(Registry(Counter), storage, HostOptions())
    with capture_logs() as logs:
        await host.open()
    assert sorted(host.slots) == ["a", "b"]
    assert len([entry for entry in logs if entry["log_level"] == "error"]) == 2 * len(DAMAGED) + 9 + 1 + 1
    await host.close()
