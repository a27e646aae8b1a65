"""What the WebSocket protocol answers, and its first message."""

import pytest

from runtime.inspector import messages as m
from runtime.inspector import snapshots
from runtime.inspector.actor_view import ActorView
from runtime.inspector.answers import answer as answer_request
from runtime.protocol.payload import blob, load_value
from tests.runtime.inspector.fake_actor import FakeActor


async def test_each_request_has_its_answer():
    view = ActorView(FakeActor(state={"n": 1}))
    assert await answer_request(view, m.StateRequest(1)) == m.StateResponse(1, blob({"n": 1}), True)
    assert load_value((await answer_request(view, m.ActionRequest(2, "a", blob([3])))).output) == ["a", 3]
    assert (await answer_request(view, m.ScheduleDeleteRequest(3, "s", "cron"))).deleted
    assert [item.id for item in (await answer_request(view, m.SchedulesRequest(4))).schedules] == ["s"]
    with pytest.raises(ValueError, match="invalid inspector schedule kind"):
        await answer_request(view, m.ScheduleDeleteRequest(5, "s", "never"))


def test_the_first_message_has_everything():
    init = snapshots.init(ActorView(FakeActor(state=1)), None)
    assert (init.state, init.rpcs, init.queue_size, init.tab_config) == (
        blob(1), ["a", "b"], 0, [m.TabConfig("state", None, None, True)],
    )  # fmt: skip
