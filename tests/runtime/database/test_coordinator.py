"""The gate by itself."""

from functools import partial

from runtime.actor.database.coordinator import QUEUE_CAPACITY, Coordinator, Waiter
from runtime.actor.database.ended_generation import DatabaseClosedError


def test_what_waits_behind_a_transaction_is_served_up_to_the_next():
    gate, log = Coordinator(), []
    first, second = (Waiter(partial(log.append, name), log.append, exclusive=True) for name in ("first", "second"))
    for waiter in (first, Waiter(partial(log.append, "a"), log.append), second, Waiter(partial(log.append, "b"), log.append)):
        gate.admit(waiter)
    assert log == ["first"]
    gate.release(second)
    gate.release(first)
    assert log == ["first", "a", "second"]
    gate.release(second)
    assert log[3:] == ["b"]
    assert not gate.busy


def test_the_queue_of_the_gate_is_bounded():
    gate, failed = Coordinator(), []
    gate.admit(Waiter(lambda: None, failed.append, exclusive=True))
    for _ in range(QUEUE_CAPACITY + 1):
        gate.admit(Waiter(lambda: None, failed.append))
    assert [error.name for error in failed] == ["sqlite.transaction_queue_full"]
    gate.close(DatabaseClosedError)
    gate.close(ValueError)
    gate.admit(Waiter(lambda: None, failed.append))
    # The open transaction is told, too.
    assert len(failed) == QUEUE_CAPACITY + 3
    assert isinstance(failed[-1], DatabaseClosedError)
