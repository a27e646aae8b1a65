"""Programs of scheduled actions that say that they ran, and what they got."""

from __future__ import annotations

from client import UNDEFINED
from harness.frames import decoded
from harness.testing.interpreter import later, op, play, ref

FAR = 3_600_000
"""Milliseconds until a schedule that never fires during a test."""


def note(tag):
    """Keep the tag and the arguments of this run in state, at once: the order of the notes is that of the runs."""
    return op("append", at="state.runs", value={"tag": tag, "args": ref("args")})


async def runs(actor):
    """The notes, in order."""
    found = await play(actor, op("value", value=ref("state.runs"))) or []
    return [{**one, "args": [given(arg) if isinstance(arg, dict) else arg for arg in one["args"]]} for one in found]


def spread(base, offsets, make):
    """Schedules at `base` milliseconds from now plus each of the offsets, exactly so far apart, in this order."""
    steps = [op("set", at="vars.at", value=later(base))]
    for offset, before in zip(offsets, [0, *offsets], strict=False):
        steps += [op("incr", at="vars.at", by=offset - before, as_="at"), op("schedule.at", at=ref("at"), do=make(offset))]
    return steps


async def ran(actor, eventually, count, timeout=8):
    """Wait for so many notes, and no more; their tags."""
    seen = await eventually(lambda: runs(actor), until=lambda found: len(found) >= count, timeout=timeout, what=f"{count} scheduled runs")
    assert len(seen) == count, seen
    return [one["tag"] for one in seen]


def fire(run):
    """The fire of a noted run: the last of its arguments."""
    return run["args"][-1]


def whole(*numbers):
    """Whether these are whole numbers, no booleans and no fractions; a language may have one type for all numbers."""
    return all(type(number) in (int, float) and number == int(number) for number in numbers)


def given(told):
    """The members of what is told of something; one that is undefined is none."""
    return {name: value for name, value in told.items() if value is not UNDEFINED}


async def works(actor, *steps):
    """Whether a program comes to its end, or fails."""
    return (await play(actor, op("try", do=list(steps))))["ok"]


async def pending(actor):
    """The one-shots that still wait."""
    return await play(actor, op("schedule.list"))


async def refusal(conform, actor, *steps):
    """What a program that must fail over HTTP was answered: group, code, message, metadata."""
    response = await conform.post_action(actor, "exec", list(steps), encoding="json")
    error = decoded(response)
    assert response.status_code == 500, (response.status_code, error)
    return error.group, error.code, error.message, error.metadata
