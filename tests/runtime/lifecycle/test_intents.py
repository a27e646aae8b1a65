from types import SimpleNamespace

import pytest

from runtime.actor.lifecycle.states import LifecycleState
from runtime.actor.lifecycle.stop_requests import request_destroy, request_sleep
from runtime.actor.ports import StopReason
from tests.runtime.parts import Owner, failing


def asking(state="started", reason=None):
    sent = []
    host = SimpleNamespace(
        request_sleep=lambda *who: sent.append(("sleep", *who)), request_destroy=lambda *who: sent.append(("destroy", *who))
    )
    state_of_actor = SimpleNamespace(flush_quietly=lambda: sent.append("flush"))
    owner = Owner(state_name=LifecycleState(state), stop_reason=reason, host=host, state=state_of_actor)
    owner.sleep_requested = owner.destroy_requested = False
    return owner, sent


async def later(ask, owner):
    ask(owner)


async def test_each_intent_is_sent_once_after_a_flush():
    owner, sent = asking()
    request_sleep(owner)
    request_sleep(owner)
    request_destroy(owner)
    assert sent == ["flush", ("sleep", "actor1", 1), "flush", ("destroy", "actor1", 1)]
    assert await failing(later(request_destroy, owner)) == "actor.stopping"
    request_sleep(owner)
    assert len(sent) == 4


async def test_in_sleep_grace_only_destruction_is_news():
    owner, sent = asking("sleep_grace", StopReason.GOING_AWAY)
    request_sleep(owner)
    assert sent == []
    request_destroy(owner)
    assert owner.destroy_requested


@pytest.mark.parametrize("state", ["destroy_grace", "destroying", "terminated"])
async def test_a_destroyed_actor_asks_for_nothing(state):
    owner, sent = asking(state, StopReason.DESTROY)
    assert await failing(later(request_sleep, owner)) == await failing(later(request_destroy, owner)) == "actor.stopping"
    assert sent == []


async def test_after_sleep_grace_sleep_comes_too_late():
    owner, _ = asking("sleep_finalize", StopReason.SLEEP_INTENT)
    assert await failing(later(request_sleep, owner)) == "actor.stopping"
