import pytest

from runtime.actor.lifecycle.refusals import Refusals
from runtime.actor.lifecycle.states import LifecycleState
from runtime.actor.ports import StopReason
from tests.runtime.parts import Owner


@pytest.mark.parametrize(
    ("state", "reason", "asked", "error"),
    [
        ("loading", None, False, "actor.starting"),
        ("loading", None, True, "actor.destroying"),
        ("started", None, True, "actor.destroying"),
        ("sleep_grace", "sleep_intent", True, "actor.destroying"),
        ("sleep_finalize", "sleep_intent", False, "actor.stopping"),
        ("destroy_grace", "destroy", False, "actor.stopping"),
        ("destroying", "destroy", False, "actor.destroying"),
        ("terminated", "going_away", False, "actor.stopping"),
        ("terminated", "going_away", True, "actor.stopping"),
        ("terminated", "stop_intent", True, "actor.destroying"),
        ("terminated", None, False, "actor.destroying"),
    ],
)
async def test_what_newcomers_are_told(state, reason, asked, error):
    stop_reason = None if reason is None else StopReason(reason)
    owner = Owner(state_name=LifecycleState(state), stop_reason=stop_reason, destroy_requested=asked)
    refusal = Refusals(owner).error()
    assert (refusal.name, refusal.nothing_begun) == (error, True)


@pytest.mark.parametrize(("reason", "name"), [(None, "stopping"), ("lost", "stopping"), ("destroy", "destroying")])
async def test_what_those_are_told_who_were_let_in(reason, name):
    owner = Owner(stop_reason=None if reason is None else StopReason(reason))
    assert Refusals(owner).of_admitted() == f"actor.{name}"


async def test_a_generation_notes_three_refusals_and_counts_the_rest():
    owner = Owner(state_name=LifecycleState.SLEEP_FINALIZE, stop_reason=StopReason.LOST, destroy_requested=False)
    refusals = Refusals(owner)
    for _ in range(10):
        refusals.error()
    assert len(owner.log.records) <= 3
