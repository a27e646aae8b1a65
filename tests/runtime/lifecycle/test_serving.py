import asyncio

from runtime.actor.lifecycle.serving import Inboxes
from runtime.declaration.options import Options
from runtime.metrics.registry import ActorMetrics
from tests.runtime.parts import Log, failing


class Call:
    def __init__(self, seen):
        self.seen = seen

    def start(self):
        self.seen.append("call")

    def fail(self, error):
        self.seen.append(error.name)


def build(**options):
    broken, log, metrics = [], Log(), ActorMetrics()
    return Inboxes(Options(**options), metrics, log, broken.append), broken, log, metrics


async def test_one_turn_serves_commands_before_events_before_calls():
    inboxes, *_ = build()
    seen = []
    inboxes.dispatch.try_send("dispatch_action", lambda: Call(seen))
    inboxes.send_event("state_mutated", lambda: seen.append("event"))
    inboxes.lifecycle.try_send("stop_actor", lambda: lambda: seen.append("command"))
    assert seen == []
    await asyncio.sleep(0)
    assert seen == ["command", "event", "call"]


async def test_what_an_item_raises_ends_the_generation_and_the_rest_is_served():
    inboxes, broken, log, _ = build()
    seen = []
    error = ZeroDivisionError()

    def fail():
        raise error

    inboxes.lifecycle.try_send("fire_alarm", lambda: fail)
    inboxes.dispatch.try_send("dispatch_action", lambda: Call(seen))
    await asyncio.sleep(0)
    assert (broken, seen) == ([error], [])
    await asyncio.sleep(0)
    assert seen == ["call"]
    assert [text for _, text, _ in log.records] == ["actor loop failed"]


async def test_an_overload_is_counted_and_noted():
    inboxes, _, log, metrics = build(lifecycle_event_inbox_capacity=1)
    inboxes.send_event("save_requested", lambda: None)

    async def again():
        inboxes.send_event("save_requested", lambda: None)

    assert await failing(again()) == "actor.overloaded"
    assert metrics.overloads["lifecycle_event_inbox", "save_requested"] == 1
    assert log.records[0][1] == "actor inbox overloaded"


async def test_refused_calls_fail_and_a_closed_box_takes_nothing():
    inboxes, *_ = build()
    seen = []
    inboxes.dispatch.try_send("dispatch_action", lambda: Call(seen))
    inboxes.refuse_dispatch("actor.stopping")
    inboxes.close()

    async def send(box):
        box.try_send("x", lambda: None)

    assert seen == ["actor.stopping"]
    errors = [await failing(send(box)) for box in (inboxes.dispatch, inboxes.lifecycle, inboxes.events)]
    assert errors == ["actor.stopping", "actor.not_ready", "actor.not_configured"]
