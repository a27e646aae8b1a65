"""The book by itself. What actors and clients see of schedules is in tests/runtime/actor/test_schedule.py."""

import asyncio
from types import SimpleNamespace

import pytest

from runtime import clock
from runtime.actor.schedule.book import CLAIM_RETRY_LONGEST, ScheduleBook
from runtime.actor.schedule.cron import every_spec, first_run
from runtime.actor.schedule.records import Schedule
from runtime.actor.schedule.user_api import CronApi, ScheduleApi
from runtime.declaration.options import Options
from runtime.protocol.storable import Unstorable
from runtime.storage.base import Put
from tests.runtime.parts import Owner, StorageFailure, failing, settle, virtual


class Planning(Owner):
    """`fired`: actions that were run, `alarms`: what the control plane was told, `woken`: how often the run handler was."""

    def __init__(self, batches=(), **more):
        super().__init__(batches=list(batches), fired=[], alarms=[], woken=0, active=False, **more)
        self.host = self.run = self.actions = self
        self.book = ScheduleBook(self)
        self.book.load(self.loaded())
        self.book.resume()

    async def set_alarm(self, actor_id, generation, at_ms):
        self.alarms.append(at_ms)

    async def run_scheduled(self, name, args):
        self.fired.append(name)

    def ensure_active(self):
        self.woken += 1


@virtual
async def test_one_shots_fire_in_time_and_are_gone_before():
    owner = Planning()
    await owner.book.after(2, "second", [])
    await owner.book.after(1, "first", [])
    await asyncio.sleep(1.5)
    assert owner.fired == ["first"]
    await asyncio.sleep(1)
    assert owner.fired == ["first", "second"]
    assert owner.book.pending() == []
    assert not any(table == "schedule" for table, _ in owner.rows)
    assert owner.alarms[-1] is None


@virtual
async def test_a_suspended_book_leaves_what_is_due_to_the_next_generation():
    owner = Planning()
    await owner.book.after(1, "late", [])
    owner.book.suspend()
    await asyncio.sleep(2)
    assert owner.fired == []
    following = Planning(owner.batches)
    await settle()
    assert following.fired == ["late"]


@virtual
async def test_each_start_tells_the_alarm_and_no_row_is_written_for_it():
    owner = Planning()
    await owner.book.after(100, "x", [])
    following = Planning(owner.batches)
    await settle()
    assert owner.alarms == [None, *following.alarms]
    assert following.batches == owner.batches
    following.book.suspend()
    owner.book.suspend()


@virtual
async def test_the_limit_counts_what_is_being_stored():
    owner = Planning(options=Options(max_schedules=2))
    results = await asyncio.gather(*(owner.book.after(50, "x", []) for _ in range(3)), return_exceptions=True)
    assert [isinstance(result, str) for result in results] == [True, True, False]
    assert await owner.book.remove(results[0], recurring=False)
    assert not await owner.book.remove(results[0], recurring=False)
    await owner.book.after(50, "x", [])
    owner.book.suspend()


@virtual
async def test_a_failed_write_changes_nothing():
    owner = Planning()
    owner.failing = 1
    with pytest.raises(StorageFailure):
        await owner.book.after(1, "x", [])
    assert owner.book.pending() == []
    kept = await owner.book.after(50, "x", [])
    owner.failing = 1
    with pytest.raises(StorageFailure):
        await owner.book.remove(kept, recurring=False)
    assert [item.id for item in owner.book.pending()] == [kept]
    owner.book.suspend()


@virtual
async def test_nothing_turns_while_what_is_due_is_being_stored(monkeypatch):
    owner = Planning()
    turns, commit, stored = [], owner.commit, asyncio.Event()

    async def slow(ops):
        if any(op.table == "schedule" for op in ops):
            await stored.wait()
        await commit(ops)

    owner.commit = slow
    planning = asyncio.ensure_future(owner.book.after(0, "x", []))
    await asyncio.sleep(1)
    monkeypatch.setattr(owner.book, "fire_due", lambda: turns.append(1))
    await owner.book.changed()
    await asyncio.sleep(1)
    assert turns == []
    monkeypatch.undo()
    stored.set()
    await planning
    await asyncio.sleep(1)
    assert owner.fired == ["x"]


@virtual
async def test_what_cannot_be_claimed_fires_once_when_it_can():
    """TASK-206: fired before its row is gone, a one-shot would fire again in the next generation, without any crash."""
    owner = Planning()
    await owner.book.after(1, "once", [])
    await owner.book.put(Schedule("job", "again", [], clock.now_ms() + 1000, every_spec(5000)))
    await owner.book.set_run_wake(clock.now_ms() + 1000)
    owner.failing = 3
    await asyncio.sleep(1.05)
    assert (owner.fired, owner.woken, len(owner.book.pending()), owner.alarms[-1] < clock.now_ms()) == ([], 0, 1, True)
    await asyncio.sleep(2)
    assert (sorted(owner.fired), owner.woken, owner.failing) == (["again", "once"], 1, 0)
    following = Planning(owner.batches)
    await settle()
    assert (following.fired, following.alarms[-1]) == ([], following.book.next_trigger)
    owner.book.suspend()
    following.book.suspend()


@virtual
async def test_a_storage_that_stays_broken_is_not_asked_all_the_time():
    owner = Planning()
    await owner.book.after(1, "x", [])
    owner.failing = 1000
    await asyncio.sleep(600)
    assert 970 > owner.failing > 900
    owner.failing = 0
    await asyncio.sleep(CLAIM_RETRY_LONGEST)
    assert owner.fired == ["x"]


@virtual
async def test_what_was_made_again_while_its_claim_failed_stands():
    owner = Planning()
    await owner.book.put(Schedule("job", "old", [], clock.now_ms() + 1000, every_spec(5000)))
    await asyncio.sleep(0.9)
    owner.held = asyncio.Event()
    await asyncio.sleep(0.2)
    owner.failing = 1
    made = asyncio.ensure_future(owner.book.put(Schedule("job", "new", [], clock.now_ms() + 7000, every_spec(7000))))
    await settle()
    owner.held.set()
    await made
    await asyncio.sleep(1)
    assert ([item.action for item in owner.book.recurring()], owner.fired) == (["new"], [])
    owner.book.suspend()


class Killed(Planning):
    """`durable`: every alarm and every batch in the order in which they became so, as a kill may cut it."""

    def __init__(self, *args, **more):
        self.durable = []
        super().__init__(*args, **more)

    async def set_alarm(self, actor_id, generation, at_ms):
        await asyncio.sleep(0.001)
        self.durable.append(at_ms)
        await super().set_alarm(actor_id, generation, at_ms)

    async def commit(self, ops):
        await asyncio.sleep(0.001)
        await super().commit(ops)
        self.durable.append(list(ops))

    def cut(self, number):
        """The alarm and the batches that a kill behind that many leaves."""
        kept = self.durable[:number]
        alarms = [entry for entry in kept if not isinstance(entry, list)]
        return alarms[-1] if alarms else None, [entry for entry in kept if isinstance(entry, list)]


@virtual
async def test_wherever_it_is_killed_the_alarm_is_there_for_what_is_stored():
    """A stored trigger without an alarm that is at least as early would wake nobody (TASK-203, TASK-213, TASK-240)."""
    owner = Killed()
    await owner.book.after(2, "b", [])
    first = await owner.book.after(1, "a", [])
    removal, wake = owner.book.remove(first, recurring=False), owner.book.set_run_wake(clock.now_ms() + 500)
    await asyncio.gather(removal, owner.book.after(3, "c", []), wake)
    await owner.book.set_run_wake(clock.now_ms() + 4000)
    await asyncio.sleep(5)
    assert owner.fired == ["b", "c"]
    for number in range(len(owner.durable) + 1):
        alarm, batches = owner.cut(number)
        stored = Bare(batches).book.next_trigger
        assert stored is None or (alarm is not None and alarm <= stored), (number, owner.durable)


@virtual
async def test_a_generation_that_an_alarm_woke_takes_it_back_last():
    """Overdue schedules at a start: until they are claimed durably the old alarm stands; then it goes, known of by a mark or not."""
    sown = Planning()
    await sown.book.after(1, "x", [])
    sown.book.suspend()
    await asyncio.sleep(2)
    for batches in (sown.batches, [[op for op in batch if op.key != b"alarm"] for batch in sown.batches]):
        owner = Killed(batches)
        await asyncio.sleep(1)
        deleted = next(number for number, entry in enumerate(owner.durable) if isinstance(entry, list))
        assert None not in owner.durable[:deleted]
        assert (owner.alarms[-1], owner.fired) == (None, ["x"])


class Bare(Owner):
    """A book that was loaded and not resumed."""

    def __init__(self, batches):
        super().__init__(batches=list(batches))
        self.host = self.run = self.actions = self
        self.book = ScheduleBook(self)
        self.book.load(self.loaded())


@virtual
async def test_a_wake_time_takes_part_in_the_alarm_and_wakes_the_handler_once():
    owner = Planning()
    at = clock.now_ms() + 1000
    await owner.book.set_run_wake(at)
    assert (owner.alarms[-1], owner.book.next_trigger) == (at, at)
    await asyncio.sleep(1.5)
    assert owner.woken == 1
    assert owner.book.next_trigger is None


@virtual
@pytest.mark.parametrize("active", [True, False])
async def test_a_handler_that_was_at_work_at_its_wake_time_is_not_started_again_when_it_ends(active):
    """Not even while it is being written that its time has come."""
    owner = Planning()
    commit, written = owner.commit, asyncio.Event()
    await owner.book.set_run_wake(clock.now_ms() + 1000)

    async def slow(ops):
        await written.wait()
        await commit(ops)

    owner.commit, owner.active = slow, active
    await asyncio.sleep(1.5)
    owner.active = False
    written.set()
    await asyncio.sleep(1)
    assert (owner.woken, owner.book.next_trigger) == (0 if active else 1, None)


@virtual
async def test_a_row_that_cannot_be_read_is_left_alone():
    owner = Planning([[Put("schedule", b"odd", b"\xff")]])
    assert owner.book.pending() == []
    assert owner.log.records[0][1] == "stored schedule is invalid"
    assert ("schedule", b"odd") in owner.rows


@virtual
async def test_replacing_a_job_keeps_its_next_run_unless_its_cadence_changes():
    owner = Planning()

    async def put(seconds):
        spec = every_spec(seconds * 1000)
        await owner.book.put(Schedule("tick", "act", [], first_run(spec), spec))
        return owner.book.find("tick", recurring=True).trigger_at

    first = await put(60)
    await asyncio.sleep(1)
    assert await put(60) == first
    assert await put(30) < first
    owner.book.suspend()


class Book:
    """What the two interfaces ask of the book."""

    def __init__(self):
        self.put_items, self.history = [], SimpleNamespace(of=lambda name, limit: [name, limit])

    async def put(self, item):
        self.put_items.append(item)

    def find(self, item_id, *, recurring):
        return self.put_items[0] if recurring and self.put_items else None


async def test_views_have_the_names_of_the_wire():
    book = Book()
    await CronApi(book).set(name="tick", expression="0 0 * * *", action="act", args=["a"])
    view = await CronApi(book).get("tick")
    assert view.pop("nextRunAt") > clock.now_ms()
    assert view == {
        "name": "tick", "action": "act", "args": ["a"], "maxHistory": 100, "kind": "cron", "expression": "0 0 * * *", "timezone": "UTC",
    }  # fmt: skip
    assert await ScheduleApi(book).get("tick") is None


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda cron: cron.every(name="", interval=60, action="a"), "invalid_name"),
        (lambda cron: cron.every(name="caf\udce9", interval=60, action="a"), "invalid_name"),
        (lambda cron: cron.every(name="a", interval=1, action="a"), "invalid_interval"),
        (lambda cron: cron.every(name="a", interval=1e300, action="a"), "invalid_interval"),
        (lambda cron: cron.set(name="a", expression="* *", action="a"), "invalid_cron_expression"),
        (lambda cron: cron.every(name="a", interval=60, action="a", max_history=-1), "invalid_max_history"),
        (lambda cron: cron.history("a", limit=0), "invalid_max_history"),
    ],
)
async def test_what_is_wrong_never_reaches_the_book(call, error):
    book = Book()
    assert await failing(call(CronApi(book))) == f"schedule.{error}"
    assert book.put_items == []


@pytest.mark.parametrize("change", ["shorten", "delete", "drop"])
@virtual
async def test_the_history_of_a_job_is_there_as_long_as_its_rows_are(change):
    owner = Planning()
    cron, book = CronApi(owner.book), owner.book
    await cron.every(name="tick", interval=5, action="x")
    for at in (1, 2):
        await book.history.started(book.find("tick", recurring=True), at, at)
    calls = {
        "shorten": lambda: cron.every(name="tick", interval=5, action="x", max_history=1),
        "delete": lambda: cron.delete("tick"),
        "drop": lambda: book._drop(book.find("tick", recurring=True)),
    }
    owner.failing = 1
    with pytest.raises(StorageFailure):
        await calls[change]()
    assert len(await cron.history("tick")) == 2
    assert book.find("tick", recurring=True).max_history == 100
    assert sum(table == "schedule_history" for table, _ in owner.rows) == 2
    await calls[change]()
    left = await cron.history("tick")
    assert len(left) == sum(table == "schedule_history" for table, _ in owner.rows)
    book.suspend()


@pytest.mark.parametrize(
    ("seconds", "args", "action"),
    [(1, ["caf\udce9"], "x"), (1, [{2**70: 1}], "x"), (1, [], "caf\udce9"), (1, [[[]] * 2_000_000], "x")],
    ids=["text", "key", "action", "repeated"],
)
async def test_what_cannot_be_kept_is_refused_where_it_enters(seconds, args, action):
    owner = Planning()
    with pytest.raises(Unstorable):
        await owner.book.after(seconds, action, args)
    assert (owner.book.pending(), owner.batches) == ([], [])


@pytest.mark.parametrize("seconds", [float("inf"), 1e300])
async def test_a_time_beyond_the_calendar_is_as_good_as_never(seconds):
    owner = Planning()
    await owner.book.after(seconds, "x", [])
    await owner.book.at(-seconds, "past", [])
    await owner.book.set_run_wake(10**30)
    assert [item.trigger_at for item in Planning(owner.batches).book.pending()][-1] == 8_640_000_000_000_000
    owner.book.suspend()


@virtual
async def test_whoever_wakes_the_actor_knows_of_a_schedule_before_storage_has_it():
    """TASK-200, TASK-240: killed in between, the actor is woken for nothing, and no schedule waits for a wake that never comes."""
    owner = Planning()
    await settle()
    stored = []

    async def set_alarm(*told):
        stored.append((told[-1], any(table == "schedule" or key == b"run_wake" for table, key in owner.rows)))

    owner.set_alarm = set_alarm
    await owner.book.at(clock.now_ms() + 50_000, "x", [])
    assert [known for _, known in stored] == [False]
    await owner.book.remove(owner.book.pending()[0].id, recurring=False)
    stored.clear()
    await owner.book.set_run_wake(clock.now_ms() + 50_000)
    assert [known for _, known in stored] == [False]
    owner.book.suspend()


@virtual
async def test_two_schedules_at_once_are_both_stored_after_their_alarm():
    """TASK-200: the second one finds the alarm told already, but not yet durable."""
    owner = Planning()
    told = asyncio.Event()

    async def set_alarm(*_):
        await told.wait()

    owner.set_alarm = set_alarm
    first, second = (asyncio.ensure_future(owner.book.after(delay, "x", [])) for delay in (50, 60))
    await settle()
    assert not first.done() and not second.done()
    assert not any(table == "schedule" for table, _ in owner.rows)
    told.set()
    await asyncio.gather(first, second)
    assert len(owner.book.pending()) == 2
    owner.book.suspend()
