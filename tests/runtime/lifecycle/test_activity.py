import asyncio

from runtime.actor.lifecycle.activity import Activity


async def test_many_changes_cause_one_evaluation():
    seen = []
    activity = Activity(lambda: seen.append(1))
    for _ in range(5):
        activity.changed()
    assert seen == []
    await asyncio.sleep(0)
    assert seen == [1]


async def test_a_change_during_an_evaluation_causes_another():
    seen = []

    def evaluate():
        seen.append(1)
        if len(seen) < 3:
            activity.changed()

    activity = Activity(evaluate)
    activity.changed()
    for _ in range(5):
        await asyncio.sleep(0)
    assert seen == [1, 1, 1]
