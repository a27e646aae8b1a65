"""Programs of workflows that several suites use, and what they recorded."""

from __future__ import annotations

from typing import Any

from driver_tests.workflow_history import NAME, History, history, workflow
from harness.testing.interpreter import made, op, play, put, ref, step, trace, traced

WAIT = op("wf.next", name="go", names=["jobs"])
"""Lets the actor sleep, and the test wake it with a message."""
ERRORS = [op("append", at="state.errors", value=ref("event"))]
"""For `onWorkflowError`: keeps what the hook was told."""


def told(value: Any = None, name: str = "told") -> Any:
    """A step that records a value of the workflow."""
    return step(name, trace(name, value))


def bounded(turns: int, *then: Any) -> list[Any]:
    """The body of a step of a loop that a fault could keep going for ever: one turn more fails. Gives the turn, from 1."""
    ends = op("if", value=ref("turn"), below=turns + 1, else_=[op("throw", kind="critical", message="too many turns")])
    return [op("incr", at="state.turns", as_="turn"), ends, *then, op("value", value=ref("turn"))]


async def values(conform: Any) -> list[tuple[str, Any]]:
    """Label and value of the trace, in order."""
    return [(record["label"], record["value"]) for record in await traced(conform)]


async def errors(conform: Any, kind: str) -> list[Any]:
    """The events of a kind that the hook was told: `step`, `rollback` or `workflow`."""
    seen = await play(made(conform, NAME), op("value", value=ref("state.errors")))
    return [event[kind] for event in seen or [] if kind in event]


async def workflow_error(conform: Any, eventually: Any) -> Any:
    """The error of the only event about the whole workflow, which may come a little after its state."""
    (event,) = await eventually(lambda: errors(conform, "workflow"), until=bool, what="the event about the workflow")
    return event["error"]


async def begun(conform: Any, eventually: Any, *program: Any, **places: Any) -> History:
    """A workflow that has come to a wait."""
    await play(workflow(conform, *program, onWorkflowError=ERRORS, **places))
    return await waits(conform, eventually)


async def waits(conform: Any, eventually: Any) -> History:
    """The history once the workflow waits."""
    return await eventually(lambda: history(conform), until=lambda shown: shown.state == "sleeping", what="the wait")


async def replaced(conform: Any, boundary: Any, *program: Any, send: bool = True) -> None:
    """Change the code of the test's workflow, put it to sleep, and wake it, with a message unless told otherwise."""
    actor = made(conform, NAME)
    await put(actor, "run", *program)
    await boundary.sleep(actor, via="api")
    await (made(conform, NAME).send("jobs", None) if send else play(made(conform, NAME)))


async def woken(conform: Any, boundary: Any, *, send: bool = False) -> None:
    """Put the test's actor to sleep, which cuts a held step off at the end of grace, and wake it, with a message if told so."""
    await boundary.sleep(made(conform, NAME), via="api")
    await (made(conform, NAME).send("jobs", None) if send else play(made(conform, NAME)))


async def arrive(conform: Any, *names: str) -> None:
    """Wait until all these latches were reached."""
    for name in names:
        await conform.latch(name).arrived()
