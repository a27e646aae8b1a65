import pytest

from runtime.actor.lifecycle.inbox import Inbox
from tests.runtime.actor.support import caught


def make(capacity=2):
    seen = {"items": 0, "overloads": []}

    def on_item():
        seen["items"] += 1

    inbox = Inbox("dispatch_inbox", capacity, on_item, lambda *what: seen["overloads"].append(what))
    return inbox, seen


def test_items_come_out_in_order():
    inbox, seen = make()
    inbox.try_send("dispatch_action", lambda: "a")
    inbox.try_send("dispatch_action", lambda: "b")
    assert (len(inbox), seen["items"]) == (2, 2)
    assert [inbox.take(), inbox.take(), inbox.take()] == ["a", "b", None]


def test_a_full_inbox_refuses_without_building_the_item():
    inbox, seen = make(1)
    inbox.try_send("dispatch_action", lambda: "a")
    with caught("actor.overloaded") as refusal:
        inbox.try_send("dispatch_http", lambda: pytest.fail("built"))
    assert refusal.error.message == "Actor channel 'dispatch_inbox' is overloaded while attempting to dispatch_http (capacity 1)."
    assert refusal.error.metadata == {"channel": "dispatch_inbox", "capacity": 1, "operation": "dispatch_http"}
    assert seen["overloads"] == [("dispatch_inbox", "dispatch_http", 1)]
    assert inbox.take() == "a"


def test_after_an_overload_the_next_attempt_succeeds_once_there_is_room():
    inbox, _ = make(1)
    inbox.try_send("x", lambda: 1)
    with caught("actor.overloaded"):
        inbox.try_send("x", lambda: 2)
    assert inbox.take() == 1
    inbox.try_send("x", lambda: 3)
    assert inbox.take() == 3


def test_a_closed_inbox_is_not_overloaded_but_gone():
    inbox, seen = make(1)
    inbox.try_send("x", lambda: 1)
    assert inbox.close("actor.not_ready") == [1]
    with caught("actor.not_ready") as refusal:
        inbox.try_send("x", lambda: 2)
    assert (seen["overloads"], refusal.error.nothing_begun) == ([], True)
