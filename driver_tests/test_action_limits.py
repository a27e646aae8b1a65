"""Suite action-limits: the time limit of actions, what a response hook may do with answers, and the connection a call has for itself."""

from __future__ import annotations

import pytest

from client import UNDEFINED
from driver_tests.scheduling import note, ran
from harness import any_encoding, encodings, requirement, suite, timing, untimed
from harness.frames import decoded
from harness.testing.codecs import ActionResponse, ErrorFrame
from harness.testing.interpreter import made, op, play, ref

pytestmark = [suite("action-limits"), timing, any_encoding]

SMALL = "interpreterSmall"
"""`actionTimeout` is 500 ms."""
TIMED_OUT = ("actor", "action_timed_out", "Action timed out", UNDEFINED)
MASKED = ("rivetkit", "internal_error", "An internal error occurred", UNDEFINED)


def error_of(answer):
    """What an error says: group, code, message, metadata."""
    return answer.group, answer.code, answer.message, answer.metadata


async def called(conform, actor, *steps, action="exec"):
    """Status and output, or status and error, of a program over HTTP."""
    response = await conform.post_action(actor, action, list(steps), encoding="json")
    output = decoded(response)
    return response.status_code, (error_of(output) if response.status_code != 200 else output)


@requirement("TASK-103", "TASK-105", "TASK-072")
async def test_the_limit_over_http(conform, clock):
    """An action within the limit is served; one beyond it is answered then, with 408 and the exact error; no other is harmed."""
    actor = made(conform, SMALL)
    assert await called(conform, actor, op("wait", ms=250), op("value", value="in time")) == (200, "in time")
    beside = conform.spawn(called(conform, actor, op("wait", ms=300), op("value", value="beside")))
    begun = clock.monotonic()
    assert await called(conform, actor, op("wait", ms=5000)) == (408, TIMED_OUT)
    clock.took(begun, least=0.45, most=conform.limit(0.95))
    assert await beside == (200, "beside")


@encodings("json", "cbor", "bare")
@requirement("TASK-103", "CONN-093")
@untimed
async def test_the_limit_on_a_connection(conform):
    """On a connection the answer at the limit is the error, and the late result is not sent."""
    actor = made(conform, SMALL)
    async with conform.frames(actor) as socket:
        await socket.request(1, "exec", [op("wait", ms=250), op("value", value=0)])
        await socket.exactly(ActionResponse(1, 0))
        await socket.request(2, "exec", [op("wait", ms=800), op("value", value="late")])
        (refused,) = await socket.exactly(ErrorFrame)
        assert (refused.action_id, *error_of(refused.error)) == (2, *TIMED_OUT)
        await socket.request(3, "exec", [op("wait", ms=450), op("value", value="next")])
        await socket.exactly(ActionResponse(3, "next"))


@requirement("TASK-103")
@pytest.mark.timeout(60)
async def test_the_limit_of_a_scheduled_call(conform, eventually):
    """A scheduled action beyond the limit is recorded as timed out."""
    actor = made(conform, SMALL)
    await play(actor, op("cron.set", name="slow", interval=5000, do=[note("ran"), op("wait", ms=2000), note("late")]))
    history = op("cron.history", name="slow")
    (over,) = await eventually(
        lambda: play(actor, history), until=lambda found: found and found[0]["result"] != "running", timeout=15, what="the end of the run"
    )
    assert over["result"] == "error"
    assert (over["error"]["group"], over["error"]["code"], over["error"]["message"]) == TIMED_OUT[:3]
    assert 400 <= over["finishedAt"] - over["firedAt"] <= 1900
    assert await ran(actor, eventually, 2) == ["ran", "late"]


@requirement("TASK-104", "TASK-108", "RUN-103")
async def test_what_goes_on_after_the_limit(conform, eventually, boundary):
    """The code of a call whose time is up learns of it, is not stopped, and what it changes is state like any other."""
    actor = made(conform, SMALL)
    late = [
        op("wait", ms=5000, abortable=True),
        op("aborted", as_="told"),
        op("wait", ms=200),
        op("set", at="state.late", value={"$now": 0}),
        op("set", at="state.told", value=ref("told")),
    ]
    before = await play(actor, op("value", value={"$now": 0}))
    assert (await called(conform, actor, *late))[1] == TIMED_OUT
    assert await play(actor, op("aborted")) is False
    told = op("value", value=[ref("state.late"), ref("state.told")])
    seen = await eventually(lambda: play(actor, told), until=lambda found: found[0] not in (None, UNDEFINED), what="the late change")
    assert seen[1] is True and 650 <= seen[0] - before <= 3000
    await boundary.sleep(actor)
    assert await play(made(conform, SMALL), told) == seen


@requirement("TASK-111", "TASK-114")
@untimed
@pytest.mark.parametrize("value", [0, False, "", None, [], "new"], ids=repr)
async def test_the_response_hook(conform, value):
    """The hook gets name, arguments and output of the action, once, and what it gives is the answer, a falsy one too."""
    hook = [op("append", at="vars.seen", value=[ref("name"), ref("args"), ref("output")]), op("value", value=value)]
    actor = made(conform, onBeforeActionResponse=hook)
    asked = [op("value", value=7)]
    assert await called(conform, actor, *asked) == (200, value)
    async with conform.frames(actor, encoding="json") as socket:
        await socket.request(0, "exec", [op("broadcast", event="event"), op("set", at="state.kept", value=ref("vars.seen"))])
        await socket.exactly(ActionResponse(0, value))
    async with conform.frames(actor, encoding="json") as socket:
        await socket.request(0, "setProgram", "onBeforeActionResponse", None)
        await socket.exactly(ActionResponse)
    assert (await play(actor, op("value", value=ref("state.kept"))))[0] == ["exec", [asked], 7]


@encodings("cbor", "bare")
@requirement("TASK-111")
@untimed
async def test_a_response_hook_that_gives_nothing(conform):
    """A hook that gives undefined makes the answer undefined."""
    actor = made(conform, onBeforeActionResponse=[op("value", value=ref("nothing"))])
    assert decoded(await conform.post_action(actor, "exec", [op("value", value=7)])) is UNDEFINED


@requirement("TASK-111")
async def test_calls_that_the_hook_does_not_see(conform, eventually):
    """The hook does not run for an action that fails, is unknown or is beyond its time."""
    hook = [op("append", at="vars.seen", value=[ref("name"), ref("args")]), op("value", value=ref("output"))]
    actor = made(conform, SMALL, onBeforeActionResponse=hook)
    assert await called(conform, actor, op("throw", code="mine", message="no")) == (500, ("user", "mine", "no", UNDEFINED))
    assert await called(conform, actor, op("throw", kind="internal")) == (500, MASKED)
    assert (await called(conform, actor, action="noSuchAction"))[1][:2] == ("actor", "action_not_found")
    late = [op("wait", ms=700), op("set", at="state.late", value="late")]
    assert (await called(conform, actor, *late))[1] == TIMED_OUT
    await eventually(lambda: play(actor, op("value", value=ref("state.late"))), until=lambda found: found == "late", what="the late end")
    seen = await play(actor, op("value", value=ref("vars.seen")))
    assert seen and all(one == ["exec", [[op("value", value=ref("state.late"))]]] for one in seen), seen


@requirement("TASK-111", "TASK-070")
@untimed
async def test_an_error_of_the_response_hook(conform):
    """An error of the hook is the answer, masked as any other; the change of the action stands."""
    for thrown, expected in (
        (op("throw", code="mine", message="no", metadata=[0]), (500, ("user", "mine", "no", [0]))),
        (op("throw", kind="internal", message="secret"), (500, MASKED)),
    ):
        actor = made(
            conform, "interpreter", conform.unique_key(), onBeforeActionResponse=[op("if", value=ref("output"), is_=1, then=[thrown])]
        )
        assert await called(conform, actor, op("incr", at="state.n")) == expected
        async with conform.frames(actor, encoding="json") as socket:
            await socket.request(4, "exec", [op("set", at="state.m", value=1)])
            (refused,) = await socket.exactly(ErrorFrame)
            assert (refused.action_id, error_of(refused.error)) == (4, expected[1])


@requirement("TASK-112")
@untimed
async def test_the_limit_of_the_response_hook(conform):
    """On a connection the hook has a time of its own; over HTTP action and hook together have one."""
    hook = [op("wait", ms=300), op("value", value=ref("output"))]
    actor = made(conform, SMALL, onBeforeActionResponse=hook)
    async with conform.frames(actor, encoding="json") as socket:
        await socket.request(0, "exec", [op("wait", ms=300), op("value", value="both")])
        await socket.exactly(ActionResponse(0, "both"))
        await socket.request(1, "exec", [op("value", value="quick")])
        await socket.exactly(ActionResponse(1, "quick"))
    assert await called(conform, actor, op("value", value="quick")) == (200, "quick")
    assert await called(conform, actor, op("wait", ms=300), op("value", value="both")) == (408, TIMED_OUT)


@requirement("TASK-112")
@untimed
async def test_a_response_hook_that_takes_too_long(conform):
    """A hook beyond its time fails the call as a slow action does, also on a connection."""
    actor = made(conform, SMALL, onBeforeActionResponse=[op("wait", ms=5000)])
    async with conform.frames(actor, encoding="json") as socket:
        await socket.request(0, "exec", [op("value", value=1)])
        (refused,) = await socket.exactly(ErrorFrame)
        assert (refused.action_id, *error_of(refused.error)) == (0, *TIMED_OUT)


@requirement("TASK-110", "CONN-001")
@untimed
async def test_each_call_has_a_connection_of_its_own(conform, eventually):
    """The hooks of a connection run around each HTTP call, in order and once, for a connection of this call alone."""
    hooks = ("onBeforeConnect", "createConnState", "onConnect", "onDisconnect")
    actor = made(conform, **{name: [op("append", at="vars.log", value=[name, ref("conn.id")])] for name in hooks})
    inside = [op("append", at="vars.log", value=["action", ref("conn.id")]), op("value", value=ref("conn.isHibernatable"))]
    for _ in range(2):
        assert await called(conform, actor, *inside) == (200, False)
    await play(actor, op("schedule.after", ms=1, do=[op("append", at="vars.log", value=["scheduled", ref("conn.id")])]))
    log = op("value", value=ref("vars.log"))
    seen = await eventually(
        lambda: play(actor, log), until=lambda found: "scheduled" in [name for name, _ in found], what="the scheduled action"
    )
    calls = [entry for entry in seen if entry[0] != "scheduled"]
    assert [name for name, _ in calls][:10] == ["onBeforeConnect", "createConnState", "onConnect", "action", "onDisconnect"] * 2
    first, second = calls[3][1], calls[8][1]
    assert first and second and first != second
    assert [calls[place][1] for place in (2, 4, 7, 9)] == [first, first, second, second]
    assert [entry[1] for entry in seen if entry[0] == "scheduled"] in ([None], [UNDEFINED])


@encodings("json", "cbor", "bare")
@requirement("TASK-107", "TASK-106")
@untimed
async def test_the_smallest_error(conform):
    """An error of the actor without code or metadata has the default code, and no metadata at all."""
    actor = made(conform)
    response = await conform.post_action(actor, "exec", [op("throw", message="only this")])
    assert (response.status_code, error_of(decoded(response))) == (500, ("user", "user_error", "only this", UNDEFINED))
    async with conform.frames(actor) as socket:
        await socket.request(0, "exec", [op("throw", message="")])
        (refused,) = await socket.exactly(ErrorFrame)
        assert error_of(refused.error) == ("user", "user_error", "", UNDEFINED)
