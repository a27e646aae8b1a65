"""Actions without the rest of an actor."""

import asyncio
from types import SimpleNamespace

import pytest

from runtime import UNDEFINED, Actor, Options, UserError, action
from runtime.actor.calls.actions import Actions
from runtime.actor.lifecycle.tracked_work import WorkKind
from runtime.protocol.storable import Unstorable
from tests.runtime.calls.fakes import Calling
from tests.runtime.parts import failing, settle, virtual


class Things(Actor):
    options = Options(action_timeout=1.0)

    @action
    def add(self, c, a, b=2):
        return [a, b, c.conn and c.conn.params]

    @action
    async def nothing(self, c) -> None:
        return 5

    @action(args=list[int])
    def checked(self, c, *numbers):
        return numbers

    @action
    def fails(self, c):
        raise UserError("no", code="mine")

    @action
    def breaks(self, c):
        return 1 // 0

    @action
    async def slow(self, c, seconds):
        self.context = c
        await asyncio.sleep(seconds)
        return "late"


class Hooked(Things):
    def on_before_action_response(self, c, name, args, output):
        return [name, args, output]


def made(actor=Things):
    owner = Calling(actor)
    return owner, Actions(owner, owner.admissions)


@virtual
async def test_a_call_has_a_connection_of_its_own():
    owner, actions = made()
    assert await actions.call_action("add", [1], "params", None) == [1, 2, "params"]
    assert [conn.params for conn in owner.ended] == ["params"]
    assert owner.flushes == ["flush"]


@virtual
async def test_a_schedule_has_none_and_asks_nobody():
    owner, actions = made()
    owner.refusal = "actor.stopping"
    assert await actions.run_scheduled("add", [1, 3]) == [1, 3, None]
    assert await failing(actions.run_detached("add", [1, 3])) == "actor.stopping"


@virtual
async def test_a_full_inbox_delays_a_schedule_and_refuses_an_inspector():
    owner, actions = made()
    owner.busy = True
    due = [asyncio.create_task(actions.run_scheduled("add", [n])) for n in range(4)]
    await settle()
    # The inbox of the fake holds two.
    assert len(owner.dispatch_inbox) == 2
    assert await failing(actions.run_detached("add", [9])) == "actor.overloaded"
    owner.busy = False
    owner.serve()
    assert [result[0] for result in await asyncio.gather(*due)] == [0, 1, 2, 3]
    assert await actions.run_detached("add", [9]) == [9, 2, None]


@virtual
async def test_a_schedule_that_comes_after_the_end_is_told_so():
    owner, actions = made()
    owner.dispatch_inbox.close("actor.stopping")
    assert await failing(actions.run_scheduled("add", [1])) == "actor.stopping"


@pytest.mark.parametrize("output", [["caf\udce9"], {2**70: 1}, 10**5000], ids=["text", "key", "integer"])
@virtual
async def test_what_cannot_be_sent_is_a_failure_of_the_action(output):
    class Odd(Actor):
        @action
        def odd(self, c):
            return output

    owner, actions = made(Odd)
    with pytest.raises(Unstorable):
        await actions.call_action("odd", [], None, None)
    assert [(level, text) for level, text, _ in owner.log.records] == [("error", "call failed")]
    # A schedule's result is nobody's.
    await actions.run_scheduled("odd", [])


@virtual
async def test_an_action_of_a_connection_ends_its_reply():
    owner, actions = made()
    reply = owner.loop.create_future()
    actions.start_action("add", [1], SimpleNamespace(params="of the connection", link=object()), reply)
    assert await reply == [1, 2, "of the connection"]


@virtual
async def test_void_and_checked():
    _, actions = made()
    assert await actions.call_action("nothing", [], None, None) is UNDEFINED
    assert await actions.call_action("checked", ["1"], None, None) == (1,)
    assert await failing(actions.call_action("checked", ["x"], None, None)) == "actor.validation_error"
    assert await failing(actions.call_action("unknown", [], None, None)) == "actor.action_not_found"


@virtual
async def test_failures_are_the_callers_and_what_is_masked_is_logged():
    owner, actions = made()
    assert await failing(actions.call_action("fails", [], None, None)) == "user.mine"
    assert owner.log.records == []
    with pytest.raises(ZeroDivisionError):
        await actions.call_action("breaks", [], None, None)
    assert [(level, fields["call"]) for level, _, fields in owner.log.records] == [("error", "breaks")]
    assert owner.flushes == ["quietly", "quietly"]


@virtual
async def test_over_its_limit_the_call_ends_and_the_action_goes_on_uncounted():
    owner, actions = made()
    started = owner.loop.time()
    assert await failing(actions.call_action("slow", [3], None, None)) == "actor.action_timed_out"
    assert owner.loop.time() - started == pytest.approx(1, abs=0.01)
    context = owner.definition.instance.context
    assert context.aborted
    assert owner.work.count(WorkKind.ACTION) == 0
    await asyncio.sleep(3)
    assert owner.flushes == ["flush"]


@virtual
async def test_a_cancelled_action_drops_its_reply():
    owner, actions = made()
    call = asyncio.ensure_future(actions.call_action("slow", [1], None, None))
    await settle()
    owner.work.cancel_all()
    assert await failing(call) == "actor.dropped_reply"


@virtual
async def test_the_response_hook():
    owner, actions = made(Hooked)
    assert await actions.call_action("add", [1, 1], None, None) == ["add", [1, 1], [1, 1, None]]
    assert await failing(actions.call_action("fails", [], None, None)) == "user.mine"
    assert owner.flushes == ["flush", "flush", "quietly"]
