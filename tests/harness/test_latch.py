"""Latches on a fake of what they use of the test's `conform`: no target, no actor."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from client import ActorError
from harness.errors import TimingMissed
from harness.testing.latch import Latch
from harness.testing.witness import Witness

pytestmark = pytest.mark.virtual_time
GONE = ActorError("actor", "not_found", "nobody")


class Owner:
    """`conform` as a latch sees it: the actor's answers are scripted."""

    def __init__(self, *answers):
        self.key, self.witness, self.answers, self.asked = ["mine", "more"], Witness(), list(answers), []
        self.get = self.get_or_create = lambda name, key: SimpleNamespace(action=lambda *args: self.action((name, *key), *args))

    def limit(self, seconds):
        return 2 * seconds

    async def action(self, *asked):
        self.asked.append(asked)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, ActorError):
            raise answer
        return answer


async def test_an_arrival_is_a_window_that_was_hit():
    owner = Owner(GONE, [], [{"actorId": "a"}])
    assert await Latch(owner, "in start").arrived() == [{"actorId": "a"}]
    assert owner.witness.windows == {"latch in start": (1, 1)}
    assert owner.asked[0][:2] == (("interpreterLatch", "mine", "in start"), "arrived")


async def test_nobody_who_comes_is_a_window_that_was_missed():
    owner = Owner(GONE)
    with pytest.raises(TimingMissed, match="0 of 2 came to the latch 'door' within 6 s"):
        await Latch(owner, "door").arrived(3, count=2)
    assert owner.witness.windows == {"latch door": (0, 1)}


async def test_another_error_of_the_actor_is_not_taken_for_nobody():
    with pytest.raises(ActorError, match="broken"):
        await Latch(Owner(ActorError("actor", "internal_error", "broken")), "door").arrived()


@pytest.mark.parametrize(("given", "sent"), [(None, ()), (2, (2,))])
async def test_release_lets_go_all_or_so_many(given, sent):
    owner = Owner(None)
    await Latch(owner, "door").release(given)
    assert owner.asked == [(("interpreterLatch", "mine", "door"), "release", *sent)]
