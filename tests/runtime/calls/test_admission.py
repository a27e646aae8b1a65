"""The way into the dispatch inbox, and out of it."""

import asyncio

import pytest

from runtime import Actor
from runtime.errors import ActorError, make_error
from tests.runtime.calls.fakes import Calling
from tests.runtime.parts import failing, settle, virtual


@virtual
async def test_admitted_work_runs():
    owner, reply = Calling(Actor), asyncio.Future()

    async def work():
        reply.set_result(1)

    owner.admissions.admit("op", work, reply)
    assert await reply == 1


@virtual
async def test_nothing_is_made_of_what_is_refused():
    owner = Calling(Actor, made=[])
    owner.refusal = "actor.stopping"
    with pytest.raises(ActorError, match=r"actor\.stopping"):
        owner.admissions.admit("op", lambda: owner.made.append(1))
    owner.refusal, owner.busy = None, True
    owner.admissions.admit("op", lambda: owner.made.append(1))
    owner.admissions.admit("op", lambda: owner.made.append(2))
    with pytest.raises(ActorError, match=r"actor\.overloaded"):
        owner.admissions.admit("op", lambda: owner.made.append(3))
    assert owner.made == []


@virtual
async def test_what_never_ran_fails_its_caller():
    owner, reply = Calling(Actor), asyncio.Future()
    owner.busy = True
    owner.admissions.admit("op", None, reply)
    owner.dispatch_inbox.take().fail(make_error("actor.destroying"))
    assert await failing(reply) == "actor.destroying"


@virtual
async def test_work_that_is_cancelled_before_it_begins_drops_its_reply():
    owner, reply = Calling(Actor), asyncio.Future()
    owner.admissions.admit("op", lambda: asyncio.sleep(9), reply)
    owner.work.cancel_all()
    assert await failing(reply) == "actor.dropped_reply"


@pytest.mark.parametrize(
    ("refusal", "full", "outcome"),
    [(None, False, "enqueued"), ("actor.stopping", False, "rejected_lifecycle"), (None, True, "enqueue_failed")],
)
@virtual
async def test_records_of_admission(refusal, full, outcome):
    owner = Calling(Actor)
    owner.busy = True
    for _ in range(2 if full else 0):
        owner.admissions.admit("op", None)
    owner.debug, owner.refusal = True, refusal
    try:
        owner.admissions.admit("op", lambda: settle())
    except ActorError:
        assert outcome != "enqueued"
    assert owner.log.records == [
        ("debug", "actor dispatch command received", {"command": "op"}),
        ("debug", "actor dispatch command handled", {"command": "op", "outcome": outcome}),
    ]
