"""Actions without the rest of an actor."""

import asyncio
from types import SimpleNamespace

import pytest

from runtime import UNDEFINED, Actor, Options, UserError, action
from runtime.actor.calls.actions import Actions
from runtime.actor.lifecycle.work import WorkKind
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
    owner.refusal, owner.busy = "actor.stopping", True
    assert await actions.run_scheduled("add", [1, 3]) == [1, 3, None]


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
