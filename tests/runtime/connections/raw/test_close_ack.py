"""Where close acknowledgements are kept and waited for."""

from __future__ import annotations

import asyncio

import pytest

from runtime.actor.connections.raw.close_ack import KEPT_MS, KEPT_PER_ACTOR, CloseAck, CloseInitiator, CloseLedger, CloseOutcome


def make_ack(conn_id: str, actor_id: str = "a", ended_at: int = 2) -> CloseAck:
    return CloseAck(actor_id, 1, conn_id, CloseInitiator.CLIENT, 1000, "", True, 0, 0, CloseOutcome.SETTLED, 1, ended_at)


async def test_a_published_acknowledgement_is_returned_at_once() -> None:
    ledger = CloseLedger()
    ledger.publish(make_ack("x"))
    assert (await ledger.wait("a", "x", 0.0)).conn_id == "x"


async def test_a_waiter_gets_the_next_one() -> None:
    ledger = CloseLedger()
    waiting = asyncio.create_task(ledger.wait("a", "x", 5.0))
    await asyncio.sleep(0)
    ledger.publish(make_ack("y"))
    ledger.publish(make_ack("x", "other"))
    assert not waiting.done()
    ledger.publish(make_ack("x"))
    assert await waiting == make_ack("x")


async def test_waiting_ends_with_a_time_out_and_leaves_nothing_behind() -> None:
    ledger = CloseLedger()
    with pytest.raises(TimeoutError):
        await ledger.wait("a", "x", 0.01)
    assert ledger._waiters == {}


def test_the_last_1024_per_actor_are_kept() -> None:
    ledger = CloseLedger()
    for number in range(KEPT_PER_ACTOR + 1):
        ledger.publish(make_ack(str(number)))
    assert ledger.get("a", "0") is None
    assert ledger.get("a", "1") is not None
    assert len(ledger.all("a")) == KEPT_PER_ACTOR


def test_subscribers_see_every_acknowledgement_until_they_unsubscribe() -> None:
    ledger = CloseLedger()
    seen: list[str] = []
    unsubscribe = ledger.subscribe(lambda ack: seen.append(ack.conn_id))
    ledger.publish(make_ack("x"))
    unsubscribe()
    unsubscribe()
    ledger.publish(make_ack("y"))
    assert seen == ["x"]


def test_all_actors_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.actor.connections.raw.close_ack.KEPT_TOTAL", 10)
    ledger = CloseLedger()
    for number in range(6):
        for conn in range(4):
            ledger.publish(make_ack(f"c{conn}", f"a{number}"))
    kept = {f"a{number}": [ack.conn_id for ack in ledger.all(f"a{number}")] for number in range(6)}
    # The latest of the actors that published last.
    assert {actor: conns for actor, conns in kept.items() if conns} == {
        "a3": ["c2", "c3"], "a4": ["c0", "c1", "c2", "c3"], "a5": ["c0", "c1", "c2", "c3"],
    }  # fmt: skip
    ledger.publish(make_ack("c3", "a5"))
    assert len(ledger.all("a3")) == 2


def test_what_ended_long_ago_is_forgotten() -> None:
    ledger = CloseLedger()
    for number, actor_id in enumerate("aabc"):
        ledger.publish(make_ack(str(number), actor_id, ended_at=number))
    # Just within the hour of the second.
    ledger.publish(make_ack("late", "c", ended_at=KEPT_MS + 1))
    assert {actor_id: [ack.conn_id for ack in ledger.all(actor_id)] for actor_id in "abc"} == {"a": ["1"], "b": ["2"], "c": ["3", "late"]}
    ledger.publish(make_ack("later", "c", ended_at=KEPT_MS + 4))
    assert {actor_id: [ack.conn_id for ack in ledger.all(actor_id)] for actor_id in "abc"} == {"a": [], "b": [], "c": ["late", "later"]}
