"""Suite inspector-schedules: schedules, their fires and the workflow's history as an inspector socket shows and pushes them."""

from __future__ import annotations

import pytest

from driver_tests.inspecting import inspect
from driver_tests.inspector_messages import decode_history
from driver_tests.inspector_socket import InspectorError, inspecting
from driver_tests.workflow_history import NAME, History, ended, workflow
from harness import any_encoding, capability, requirement, suite
from harness.testing.codecs import load_value
from harness.testing.interpreter import failing, later, made, op, play, ref, step

pytestmark = [suite("inspector-schedules"), any_encoding, capability("inspector")]

FAR = 6_000_000
HOURLY = op("cron.set", name="hourly", expression="0 * * * *", timezone="Europe/Berlin", action="exec", args=[[], None], maxHistory=7)
OFTEN = op("cron.set", name="often", interval=3_600_000, action="exec", args=[[], 0], maxHistory=0)


def kinds(told):
    """The names of messages."""
    return [kind for kind, _ in told]


async def quietly(conform, *program):
    """Run a program through the HTTP inspector, without a connection that would be pushed, too."""
    answer = await (await inspect(conform, "interpreter")).post("action/exec", {"args": [list(program)]})
    return answer.get("output")


async def listed(socket):
    """The schedules that are told now; nothing else may be told."""
    told = await socket.told()
    assert set(kinds(told)) == {"SchedulesUpdated"}
    return {one["id"] for one in told[-1][1]["schedules"]}


@requirement("INSP-150", "INSP-157")
async def test_shown_schedules(conform):
    """Each kind has its members and no others'."""
    actor = made(conform)
    now = await play(actor, op("value", value=later(0)))
    late = await play(actor, op("schedule.after", ms=2 * FAR, action="exec", args=[[], False]))
    early = await play(actor, OFTEN, HOURLY, op("schedule.at", at=later(FAR), action="exec", args=[[]]))
    async with inspecting(conform, "interpreter") as (socket, init):
        shown = (await socket.ask("Schedules"))["schedules"]
        assert init["schedules"] == shown
        found = {one["id"]: one for one in shown}
        first, second, hourly, often = [found[name] for name in (early, late, "hourly", "often")]
        assert len(shown) == 4
        for one, number, args in ((first, early, [[]]), (second, late, [[], False])):
            assert load_value(one.pop("args")) == args
            at = one.pop("nextRunAt")
            assert FAR * (1 if number == early else 2) - 5_000 <= at - now <= FAR * 2 + 10_000
            nothing = dict.fromkeys(("name", "lastRunAt", "expression", "timezone", "intervalMs", "maxHistory"))
            assert one == {"id": number, "kind": "at", "action": "exec", **nothing}
        assert load_value(hourly.pop("args")) == [[], None] and load_value(often.pop("args")) == [[], 0]
        assert 0 < hourly.pop("nextRunAt") - now <= 3_610_000 and abs(often.pop("nextRunAt") - now - 3_600_000) < 10_000
        assert hourly == {
            "id": hourly["id"], "name": "hourly", "kind": "cron", "action": "exec", "lastRunAt": None, "expression": "0 * * * *",
            "timezone": "Europe/Berlin", "intervalMs": None, "maxHistory": 7,
        }  # fmt: skip
        assert often == {
            "id": often["id"], "name": "often", "kind": "every", "action": "exec", "lastRunAt": None, "expression": None,
            "timezone": None, "intervalMs": 3_600_000, "maxHistory": 0,
        }  # fmt: skip


@requirement("INSP-163", "INSP-157")
async def test_changes_of_schedules(conform):
    """Setting, firing, replacing and cancelling are pushed with the list as it then is, and nothing else is."""
    await made(conform).resolve()
    async with inspecting(conform, "interpreter") as (socket, _):
        one = await quietly(conform, op("schedule.after", ms=FAR, do=[]))
        assert await listed(socket) == {one}
        await quietly(conform, OFTEN)
        assert await listed(socket) == {one, "often"}
        two = await quietly(conform, op("schedule.after", ms=100, do=[]))
        told = await socket.told(1.0)
        seen = [{item["id"] for item in fields["schedules"]} for kind, fields in told if kind == "SchedulesUpdated"]
        assert seen[0] == {two, one, "often"} and seen[-1] == {one, "often"}
        assert await quietly(conform, op("schedule.cancel", id=one)) is True
        assert await listed(socket) == {"often"}
        assert await quietly(conform, op("cron.delete", name="often")) is True
        assert await listed(socket) == set()
        assert await quietly(conform, op("schedule.cancel", id=one)) is False
        assert await socket.told() == []


@requirement("INSP-157", "INSP-163")
@pytest.mark.parametrize(("target", "kind"), [("at", "at"), ("hourly", "cron"), ("often", "every")])
async def test_deleting(conform, target, kind):
    """A schedule is deleted by its id and kind, told once whether it was there, pushed, and the others stay."""
    await made(conform).resolve()
    one = await quietly(conform, HOURLY, OFTEN, op("schedule.after", ms=FAR, do=[]))
    number = one if target == "at" else target
    async with inspecting(conform, "interpreter") as (socket, _):
        before = {item["id"] for item in (await socket.ask("Schedules"))["schedules"]}
        for deleted in (True, False):
            answer = await socket.ask("ScheduleDelete", scheduleId=number, kind=kind)
            assert (answer["scheduleId"], answer["deleted"]) == (number, deleted)
        assert await listed(socket) == before - {number}
        rest = await quietly(
            conform, op("schedule.list", as_="at"), op("cron.list", as_="cron"), op("value", value=[ref("at"), ref("cron")])
        )
        assert {item["id"] for item in rest[0]} | {item["name"] for item in rest[1]} == before - {number}


@requirement("INSP-153", "INSP-150")
async def test_fires(conform, eventually):
    """The newest fire comes first, with its times, result and error; the limit bounds them, and 0 counts as 1."""
    actor = made(conform, state={"tries": 0})
    body = failing(1, counter="tries", kind="user", message="first", code="mine", metadata={"zero": 0})
    await play(actor, op("cron.set", name="often", interval=5000, do=body, maxHistory=5))
    async with inspecting(conform, "interpreter") as (socket, _):

        async def fires(limit=1000):
            return (await socket.ask("ScheduleHistory", scheduleId="often", limit=limit))["history"]

        await eventually(fires, until=lambda seen: len([one for one in seen if one["finishedAt"]]) >= 3, timeout=40, what="three fires")
        await play(actor, op("cron.set", name="often", interval=3_600_000, action="exec", args=[[]], maxHistory=5))
        history = await fires()
        scheduled = [one["scheduledAt"] for one in history]
        assert scheduled == sorted(scheduled, reverse=True) and len(history) >= 3
        for one in history:
            assert (one["action"], set(one)) == ("exec", {"action", "scheduledAt", "firedAt", "finishedAt", "result", "error"})
            assert one["scheduledAt"] <= one["firedAt"] <= one["finishedAt"]
        first, *later_ones = history[::-1]
        assert (first["error"]["group"], first["error"]["code"], first["error"]["message"]) == ("user", "mine", "first")
        assert load_value(first["error"]["metadata"]) == {"zero": 0}
        assert {one["result"] for one in later_ones}.isdisjoint({first["result"]}) and all(one["error"] is None for one in later_ones)
        assert await fires(2) == history[:2] and await fires(0) == history[:1] and await fires(1) == history[:1]
        [shown] = (await socket.ask("Schedules"))["schedules"]
        assert shown["lastRunAt"] is None or abs(shown["lastRunAt"] - history[0]["firedAt"]) < 1000


@requirement("INSP-150", "INSP-092", "INSP-164", "WF-220")
async def test_the_same_history_in_both_forms(conform, eventually):
    """The socket's bytes say what the HTTP route says, entry by entry, with all metadata, a rollback and failed attempts included."""
    undo = step("undone", op("value", value=1), rollback=[op("value", value=0)])
    loop = op("wf.loop", name="loop", state=[0], do=[op("break", value="out")])
    await play(workflow(conform, op("wf.checkpoint", name="point"), undo, loop, step("bad", op("throw", kind="rollback", message="back"))))
    shown = await ended(conform, eventually, "failed")
    answer = await (await inspect(conform, NAME)).get("workflow-history")
    assert shown.metadata["undone"]["rollbackCompletedAt"] is not None
    async with inspecting(conform, NAME) as (socket, init):
        got = await socket.ask("WorkflowHistory")
        assert got["isWorkflowEnabled"] is True and init["workflowHistory"] == got["history"]
        history = decode_history(got["history"])
        assert list(history) == list(History.of(answer).entries)
        for path, entry in history.items():
            kind, meta = shown.entries[path], shown.metadata[path]
            assert kind["tag"].lower() == f"workflow{entry['kind'].replace('_', '')}entry"
            assert entry["metadata"] == (None if meta is None else {**meta, "status": meta["status"].lower()})
        assert load_value(history["loop"]["state"]) == [0] and load_value(history["loop"]["output"]) == "out"
        assert load_value(history["undone"]["output"]) == 1 and history["bad"]["error"] == shown.entries["bad"]["val"]["error"]


@requirement("INSP-164", "INSP-100", "WF-210")
async def test_a_replay_over_the_socket(conform, eventually):
    """It answers with the emptied history, and the history that is made anew is pushed or asked for."""
    await play(workflow(conform, step("one", op("value", value=ref("nothing"))), step("two")))
    await ended(conform, eventually)

    async def replay():
        # Right after its end the workflow may still be in flight.
        try:
            return await socket.ask("WorkflowReplay", entryId=None)
        except InspectorError:
            return None

    async with inspecting(conform, NAME) as (socket, _):
        answer = await eventually(replay, until=lambda one: one is not None, what="a replay that is accepted")
        assert answer["isWorkflowEnabled"] is True and decode_history(answer["history"]) == {}
        pushes = [fields for kind, fields in [*socket.pushed, *await socket.told(1.0)] if kind == "WorkflowHistoryUpdated"]
        assert pushes and all(set(decode_history(one["history"])) <= {"one", "two"} for one in pushes)
        again = decode_history((await socket.ask("WorkflowHistory"))["history"])
        assert set(again) == {"one", "two"}
