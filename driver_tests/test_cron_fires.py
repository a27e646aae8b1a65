"""Suite cron-fires: what a recurring schedule does at its times, and the history of it."""

from __future__ import annotations

import pytest

from driver_tests.scheduling import fire, given, note, ran, runs
from harness import any_encoding, requirement, suite, timing
from harness.testing.interpreter import latch, made, op, play, ref

pytestmark = [suite("cron-fires"), timing, any_encoding, pytest.mark.timeout(150)]

EVERY = 5000
"""The shortest interval, in milliseconds."""
MASKED = {"group": "rivetkit", "code": "internal_error", "message": "An internal error occurred"}


def job(name, *do, **fields):
    """A job that runs a program as often as it may."""
    return op("cron.set", **{"name": name, "interval": EVERY, **fields, **({} if "action" in fields else {"do": list(do)})})


async def shown(actor, name="job"):
    """What is told of a job, None when there is none."""
    told = await play(actor, op("cron.get", name=name))
    return None if told is None else given(told)


async def history(actor, name="job", **fields):
    """The history of a job."""
    return await play(actor, op("cron.history", name=name, **fields))


async def recorded(actor, eventually, count, name="job", done=True, timeout=20):
    """Wait for a history of so many fires, all of them over with `done`."""
    return await eventually(
        lambda: history(actor, name),
        until=lambda found: len(found) >= count and not (done and any(one["result"] == "running" for one in found)),
        timeout=timeout,
        what=f"{count} fires of {name}",
    )


@requirement("TASK-305", "TASK-302", "TASK-304", "TASK-306", "TASK-214")
async def test_fires_of_an_interval(conform, eventually, boundary):
    """Each fire gets the arguments and its kind, name, due and actual time; they are an interval apart; what is told of the job follows."""
    actor = made(conform)
    await play(actor, job("job", action="exec", args=[{"$quote": [note("ran")]}, None, 0]))
    first_at = (await shown(actor))["nextRunAt"]
    assert await ran(actor, eventually, 2, timeout=20) == ["ran", "ran"]
    seen = await recorded(actor, eventually, 2)
    noted = await runs(actor)
    assert [one["args"] for one in noted] == [
        [None, 0, {"kind": "every", "id": "job", "name": "job", "scheduledAt": due, "firedAt": fire(one)["firedAt"]}]
        for one, due in zip(noted, (first_at, first_at + EVERY), strict=True)
    ]
    assert all(fire(one)["firedAt"] >= fire(one)["scheduledAt"] for one in noted)
    told = await shown(actor)
    assert (told["nextRunAt"], told["lastRunAt"]) == (first_at + 2 * EVERY, fire(noted[1])["firedAt"])
    assert set(told) == {"name", "action", "args", "nextRunAt", "lastRunAt", "maxHistory", "kind", "interval"}
    assert seen == [
        {"action": "exec", "scheduledAt": fire(one)["scheduledAt"], "firedAt": fire(one)["firedAt"], "result": "ok", "finishedAt": over}
        for one, over in zip(reversed(noted), [one["finishedAt"] for one in seen], strict=True)
    ]
    assert all(one["finishedAt"] >= one["firedAt"] for one in seen)
    await boundary.sleep(actor)
    actor = made(conform)
    assert (await history(actor), await shown(actor)) == (seen, told)
    await play(actor, job("job", interval=60_000))
    assert (await shown(actor))["lastRunAt"] == told["lastRunAt"]


@requirement("TASK-214", "TASK-305")
async def test_each_fire_gets_its_own_arguments(conform, eventually):
    """What an action does to its arguments is in no later fire, and not in what is told of the job."""
    actor = made(conform)
    program = [note("ran"), op("change", of="args.0", value=2)]
    await play(actor, job("job", action="exec", args=[{"$quote": program}, [1]]))
    assert await ran(actor, eventually, 2, timeout=20) == ["ran", "ran"]
    assert [one["args"][0] for one in await runs(actor)] == [[1], [1]]
    assert (await shown(actor))["args"][1] == [1]


@requirement("TASK-305", "TASK-301", "TASK-203")
async def test_fires_of_an_expression(conform, eventually, boundary):
    """A job with an expression wakes its actor at the full minute, once, with the kind `cron`."""
    actor = made(conform)
    await play(actor, op("cron.set", name="minute", expression="* * * * *", do=[note("ran")]))
    due = (await shown(actor, "minute"))["nextRunAt"]
    actor_id = await boundary.sleep(actor)
    await eventually(lambda: boundary.record(actor_id), until=lambda one: one["connectable_ts"] is not None, timeout=75, what="the wake")
    actor = made(conform)
    await ran(actor, eventually, 1)
    (only,) = await runs(actor)
    assert only["args"] == [{"kind": "cron", "id": "minute", "name": "minute", "scheduledAt": due, "firedAt": fire(only)["firedAt"]}]
    assert due % 60_000 == 0 and fire(only)["firedAt"] >= due
    assert (await shown(actor, "minute"))["nextRunAt"] == due + 60_000


@requirement("TASK-303", "TASK-306")
async def test_a_run_that_still_goes_on(conform, eventually):
    """While a run goes on the next fire of its name is skipped and recorded so; other names run beside it; then it goes on."""
    actor = made(conform)
    await play(actor, job("held", note("held"), latch("in run")), job("free", note("free")))
    await conform.latch("in run").arrived()
    (running,) = await history(actor, "held")
    assert set(running) == {"action", "scheduledAt", "firedAt", "result"} and running["result"] == "running"
    skipped, first = await recorded(actor, eventually, 2, "held", done=False)
    assert first == running
    assert (skipped["result"], skipped["scheduledAt"]) == ("skipped", running["scheduledAt"] + EVERY)
    assert "error" not in skipped
    await ran(actor, eventually, 3)
    assert sorted(one["tag"] for one in await runs(actor)) == ["free", "free", "held"]
    assert [one["result"] for one in await history(actor, "free")][-1] == "ok"
    await conform.latch("in run").release()
    seen = await recorded(actor, eventually, 3, "held")
    assert [one["result"] for one in seen] == ["ok", "skipped", "ok"]
    assert [one["tag"] for one in await runs(actor)].count("held") == 2


@requirement("TASK-307", "TASK-306")
async def test_failing_runs(conform, eventually):
    """A run that fails is recorded with its error, masked as on the wire, not repeated, and the cadence goes on."""
    actor = made(conform)
    user = op("throw", message="told", code="bad", metadata={"a": 0})
    await play(actor, job("user", note("user"), user), job("bare", note("bare"), op("throw", message="told", code="bad")),
               job("internal", note("internal"), op("throw", kind="internal", message="secret")))  # fmt: skip
    told = {"group": "user", "code": "bad", "message": "told"}
    for name, error in (("user", {**told, "metadata": {"a": 0}}), ("bare", told), ("internal", MASKED)):
        seen = await recorded(actor, eventually, 2, name)
        assert [(one["result"], one["error"]) for one in seen] == [("error", error)] * 2
        assert seen[0]["scheduledAt"] == seen[1]["scheduledAt"] + EVERY
        assert all(one["finishedAt"] >= one["firedAt"] for one in seen)
    tags = [one["tag"] for one in await runs(actor)]
    assert sorted(tags) == ["bare"] * 2 + ["internal"] * 2 + ["user"] * 2


@requirement("TASK-307")
async def test_an_action_that_does_not_exist(conform, eventually, clock):
    """A job of an unknown action is recorded as failed once and is deleted; the others stay."""
    actor = made(conform)
    await play(actor, job("gone", action="noSuchAction", args=[]), job("stays", note("ran")))
    await eventually(lambda: shown(actor, "gone"), until=lambda found: found is None, timeout=15, what="the end of the job")
    await ran(actor, eventually, 1)
    assert [one["name"] for one in await play(actor, op("cron.list"))] == ["stays"]
    (record,) = await history(actor, "gone")
    assert (record["action"], record["result"]) == ("noSuchAction", "error")
    assert (record["error"]["group"], record["error"]["code"]) == ("actor", "action_not_found")
    await clock.sleep(EVERY / 1000 + 0.5)
    assert len(await history(actor, "gone")) == 1


@requirement("TASK-306")
async def test_how_much_history_is_kept(conform, eventually):
    """As many fires are kept as the job says, the newest; a smaller number drops the oldest, 0 all and those to come."""
    actor = made(conform)
    await play(actor, job("two", note("two"), maxHistory=2), job("one", maxHistory=1), job("none", note("none"), maxHistory=0))
    assert sorted(await ran(actor, eventually, 6, timeout=30)) == ["none"] * 3 + ["two"] * 3
    await eventually(lambda: history(actor, "two"), until=lambda found: found[0]["result"] == "ok", what="the end of the run")
    seen = await history(actor, "two")
    times = [fire(one)["scheduledAt"] for one in await runs(actor) if one["tag"] == "two"]
    assert [one["scheduledAt"] for one in seen] == [times[2], times[1]]
    assert await history(actor, "two", limit=1) == seen[:1]
    assert [one["scheduledAt"] for one in await history(actor, "one")] == [seen[0]["scheduledAt"] + await offset(actor)]
    assert await history(actor, "none") == []
    await play(actor, job("two", note("two"), maxHistory=1))
    assert await history(actor, "two") == seen[:1]
    await play(actor, job("two", note("two"), maxHistory=0))
    assert await history(actor, "two") == []
    await play(actor, job("two", note("two"), maxHistory=5))
    assert await history(actor, "two") == []


async def offset(actor):
    """How much later the job `one` runs than the job `two`."""
    return (await shown(actor, "one"))["nextRunAt"] - (await shown(actor, "two"))["nextRunAt"]


@requirement("TASK-306", "TASK-302")
async def test_the_default_limit_of_an_answer(conform, eventually):
    """An answer has the 20 newest fires unless more or fewer are asked for; over many fires no tick is lost or comes twice."""
    actor = made(conform)
    await play(actor, job("job"))
    await eventually(lambda: history(actor, limit=1000), until=lambda found: len(found) > 20, timeout=130, what="21 fires")
    limits = {"all": {"limit": 1000}, "some": {}, "few": {"limit": 3}}
    asked = [op("cron.history", name="job", as_=name, **limit) for name, limit in limits.items()]
    answers = await play(actor, *asked, op("return", value=[ref("all"), ref("some"), ref("few")]))
    assert [len(answers[0]) > 20, answers[1], answers[2]] == [True, answers[0][:20], answers[0][:3]]
    times = [one["scheduledAt"] for one in answers[0]]
    assert times == [times[-1] + EVERY * number for number in reversed(range(len(times)))]


@requirement("TASK-302", "TASK-203", "TASK-213")
async def test_missed_ticks(conform, boundary, eventually, clock):
    """Ticks that passed before the actor was ready become one fire, of the first of them; those that follow keep the old rhythm."""
    actor = made(conform)
    first_at = await play(actor, job("job", note("ran")), op("setProgram", place="onWake", program=[latch("in start")]),
                          op("cron.get", name="job", as_="job"), op("return", value=ref("job.nextRunAt")))  # fmt: skip
    await boundary.sleep(actor)
    await conform.latch("in start").arrived()
    await clock.sleep(1.5 * EVERY / 1000)
    await conform.latch("in start").release()
    actor = made(conform)
    assert await ran(actor, eventually, 1) == ["ran"]
    assert (await shown(actor))["nextRunAt"] == first_at + 2 * EVERY
    await ran(actor, eventually, 2)
    assert [fire(one)["scheduledAt"] for one in await runs(actor)] == [first_at, first_at + 2 * EVERY]


@requirement("TASK-308", "TASK-306")
async def test_a_run_that_was_cut_off(conform, boundary, eventually):
    """A run that did not outlive its generation is recorded as interrupted by the next one, and is not run again."""
    actor = made(conform, "interpreterSleepy")
    await play(actor, job("job", latch("in run")))
    await conform.latch("in run").arrived()
    await boundary.sleep(actor, via="api")
    actor = made(conform, "interpreterSleepy")
    seen = await history(actor)
    assert [one["result"] for one in seen][-1] == "error"
    assert seen[-1]["error"] in (
        {"group": "schedule", "code": "interrupted", "message": "Scheduled action was interrupted before completion."},
        # A runtime may record the end of the run before its generation is over.
        {"group": "actor", "code": "dropped_reply", "message": "An internal error occurred"},
    )
    assert seen[-1]["finishedAt"] >= seen[-1]["firedAt"]
    assert [one["scheduledAt"] for one in seen].count(seen[-1]["scheduledAt"]) == 1
    await play(actor, op("cron.delete", name="job"))


@requirement("TASK-304", "TASK-203", "TASK-241")
async def test_a_deleted_job(conform, eventually, boundary, clock):
    """A deleted job does not run any more, wakes nobody, and its history is gone for a job of the same name, too."""
    actor = made(conform)
    await play(actor, job("job", note("ran")), job("other", note("other")))
    await ran(actor, eventually, 2)
    await recorded(actor, eventually, 1)
    await play(actor, op("cron.delete", name="job"), op("cron.delete", name="other"))
    assert await history(actor) == []
    actor_id = await boundary.sleep(actor)
    await clock.sleep(EVERY / 1000 + 1)
    assert await boundary.is_asleep(actor_id)
    actor = made(conform)
    await play(actor, job("job", note("new"), interval=60_000))
    assert (await history(actor), sorted(one["tag"] for one in await runs(actor))) == ([], ["other", "ran"])
    assert "lastRunAt" not in await shown(actor)


@requirement("TASK-300", "TASK-305")
async def test_a_replaced_job(conform, eventually):
    """A job that was set again runs its new action with its new arguments at the time that stayed the same."""
    actor = made(conform)
    await play(actor, job("job", note("old")))
    due = (await shown(actor))["nextRunAt"]
    await play(actor, job("job", action="exec", args=[{"$quote": [note("new")]}, ""]))
    assert await ran(actor, eventually, 1, timeout=12) == ["new"]
    (only,) = await runs(actor)
    assert (only["args"][0], fire(only)["scheduledAt"]) == ("", due)
