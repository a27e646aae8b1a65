"""Suite state-saving: when changed state is saved, told by the inspector, which pushes state when it changed and again after each save."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from client import UNDEFINED
from driver_tests.inspector_socket import inspecting
from harness import any_encoding, capability, encodings, requirement, suite, timing, untimed
from harness.errors import TimingMissed
from harness.testing.codecs import load_value, same
from harness.testing.interpreter import latch, made, op, play, ref

pytestmark = [suite("state-saving"), timing]

INTERVAL = 1.0
"""The default of `stateSaveInterval`, in seconds."""
QUIET = 1.8
"""For so many intervals after a save nothing may be pushed."""


class Watched:
    """The actor of the test with an inspector that sees its saves."""

    def __init__(self, conform, clock, actor, socket):
        self._conform = conform
        self._clock = clock
        self._actor = actor
        self._socket = socket
        self.call = None

    def change(self, value, *steps):
        """Begin a call that changes state and then does the rest of the program; the time before it."""
        begun = self._clock.monotonic()
        self.call = self._conform.spawn(play(self._actor, op("set", at="state.x", value=value), *steps))
        return begun

    async def saved(self, value):
        """The time of the last push of this value: no save follows for more than an interval."""
        found = None
        while True:
            try:
                async with asyncio.timeout(self._conform.limit(QUIET * INTERVAL)):
                    kind, fields = await self._socket.receive()
            except TimeoutError:
                break
            if kind == "StateUpdated" and load_value(fields["state"])["x"] == value:
                found = self._clock.monotonic()
        assert found is not None, f"nothing was pushed about {value!r}"
        return found


def between(begun, saved, least, most):
    """Assert that a save came so many seconds after a moment."""
    assert least <= saved - begun, f"saved after {saved - begun:.3f} s, at least {least} s are needed"
    if saved - begun > most:
        raise TimingMissed(f"saved after {saved - begun:.3f} s, at most {most:g} s are allowed")


@asynccontextmanager
async def watched(conform, clock):
    """An actor that saved long ago, so that its next save is at once and the one after it an interval later."""
    actor = made(conform, state={"x": 0})
    await play(actor)
    async with inspecting(conform, "interpreter") as (socket, _):
        await clock.sleep(1.5 * INTERVAL)
        yield Watched(conform, clock, actor, socket)


FIRST = [op("wait", ms=200), op("set", at="state.x", value="second")]
"""Goes on when the first change is saved, and changes state again."""
LATE = {"least": 0.8 * INTERVAL, "most": 1.6 * INTERVAL}
"""When a throttled save of the second change is due, after the first."""


@any_encoding
@capability("inspector")
@requirement("RUN-140", "DB-030", "DB-031")
async def test_a_change_long_after_a_save(conform, clock):
    """A change later than an interval after the last save is saved at once, without a request."""
    async with watched(conform, clock) as seen:
        begun = seen.change("first")
        between(begun, await seen.saved("first"), least=0, most=0.6 * INTERVAL)
        begun = seen.change("again")
        between(begun, await seen.saved("again"), least=0, most=0.6 * INTERVAL)


@any_encoding
@capability("inspector")
@requirement("RUN-140", "RUN-143", "DB-030", "DB-031", "DB-033")
@pytest.mark.parametrize("steps", [[], [op("save")], [op("save", maxWait=60_000)]], ids=["unasked", "asked", "with a far bound"])
async def test_a_change_soon_after_a_save(conform, clock, steps):
    """A change soon after a save is saved an interval after that save, asked for or not; the call does not wait for it."""
    async with watched(conform, clock) as seen:
        begun = seen.change("first", *FIRST, *steps, op("value", value="at once"))
        assert await seen.call == "at once"
        clock.took(begun, most=conform.limit(0.7 * INTERVAL))
        between(begun, await seen.saved("second"), **LATE)


@any_encoding
@capability("inspector")
@requirement("RUN-142", "DB-032")
async def test_a_bounded_save(conform, clock):
    """A save with a maximum wait, in milliseconds, comes within it, also when later requests could wait longer; the call does not wait."""
    async with watched(conform, clock) as seen:
        steps = [op("save", maxWait=300), op("save", maxWait=5000), op("save"), op("value", value="at once")]
        begun = seen.change("first", *FIRST, *steps)
        assert await seen.call == "at once"
        clock.took(begun, most=conform.limit(0.4))
        between(begun, await seen.saved("second"), least=0.35, most=0.75)


@any_encoding
@capability("inspector")
@requirement("RUN-142")
async def test_a_bound_of_nothing(conform, clock):
    """A maximum wait of zero is a wait of zero, not one that was not given."""
    async with watched(conform, clock) as seen:
        begun = seen.change("first", *FIRST, op("save", maxWait=0))
        between(begun, await seen.saved("second"), least=0.15, most=0.6)


@any_encoding
@capability("inspector")
@requirement("RUN-141", "RUN-144", "DB-034")
@pytest.mark.parametrize("more", [{}, {"maxWait": 60_000}], ids=["alone", "with a bound"])
async def test_an_immediate_save(conform, clock, more):
    """An immediate save is done when its call goes on, whatever bound it has besides; nothing is left to be saved later."""
    async with watched(conform, clock) as seen:
        begun = seen.change("first", *FIRST, op("save", immediate=True, **more), latch("saved"))
        await conform.latch("saved").arrived()
        on = clock.monotonic()
        saved = await seen.saved("second")
        between(begun, saved, least=0.15, most=1.6 * INTERVAL)
        between(on, saved, least=-INTERVAL, most=conform.limit(0.25))
        await conform.latch("saved").release()
        await seen.call


@any_encoding
@capability("inspector")
@requirement("RUN-145", "RUN-144", "RUN-148")
async def test_a_change_right_after_a_save(conform, clock):
    """What was changed after an immediate save is not part of it, and is saved an interval later; what was in between is not lost."""
    async with watched(conform, clock) as seen:
        begun = seen.change("first", op("wait", ms=200), op("set", at="state.x", value="between"), op("save", immediate=True),
                            op("set", at="state.x", value="second"))  # fmt: skip
        await seen.call
        between(begun, await seen.saved("second"), least=0.2 + 0.8 * INTERVAL, most=0.2 + 1.6 * INTERVAL)


@any_encoding
@requirement("RUN-146", "SLEEP-035", "DB-036")
async def test_what_a_graceful_stop_keeps(conform, boundary):
    """Every change up to the end of grace is kept: of the action that asked for sleep, of work beside it, of `onSleep`, of work after."""
    after = op("waitUntil", do=[op("wait", ms=120), op("append", at="state.log", value="after the hook")])
    actor = made(conform, onSleep=[after, op("wait", ms=20), op("append", at="state.log", value="hook")], state={"log": []})
    work = op("keepAwake", background=True, do=[op("wait", ms=60), op("append", at="state.log", value="work")])
    actor_id = await actor.resolve()
    await play(actor, op("save", immediate=True), work, op("append", at="state.log", value="action"), op("sleep"))
    await boundary.wait_asleep(actor_id)
    log = await play(made(conform), op("value", value=ref("state.log")))
    assert sorted(log) == ["action", "after the hook", "hook", "work"]
    assert (log[0], log[-1]) == ("action", "after the hook")


@any_encoding
@requirement("RUN-146", "SLEEP-036", "STOP-031")
async def test_what_a_failing_hook_keeps(conform, boundary):
    """What `onSleep` changed before it failed is kept, and seen by the next start."""
    actor = made(conform, onSleep=[op("set", at="state.slept", value=False), op("throw", kind="internal")],
                 onWake=[op("append", at="state.woken", value=ref("state.slept"))])  # fmt: skip
    await play(actor)
    await boundary.sleep(actor)
    woken = await play(made(conform), op("value", value=ref("state.woken")))
    assert (len(woken), woken[1]) == (2, False)


@any_encoding
@requirement("RUN-100")
async def test_state_is_shared_at_once(conform):
    """What one call changes the others see before it has ended or saved anything, in both directions."""
    actor = made(conform, state={"x": 0})
    held = [op("set", at="state.x", value="mine"), latch("held"), op("value", value=[ref("state.x"), ref("state.y")])]
    call = conform.spawn(play(actor, *held))
    await conform.latch("held").arrived()
    assert await play(actor, op("value", value=ref("state.x"))) == "mine"
    await play(actor, op("set", at="state.x", value=0), op("set", at="state.y", value="theirs"))
    await conform.latch("held").release()
    assert await call == [0, "theirs"]


VALUES = [
    0, -0.5, False, True, "", None, UNDEFINED, [], {}, [UNDEFINED, None, 0], {"a": None, "b": {"c": []}}, 2**53 - 1, -(2**53) + 1,
    2**70, -(2**70), b"", b"\x00\xff", "ä\x00\U0001f600", {"": {"": 0}},
]  # fmt: skip


async def kept(conform, boundary, values):
    """Assert that state keeps these values over a sleep, as members and in lists."""
    actor = made(conform, state={"x": []})
    for value in values:
        shown = await play(actor, op("value", value=ref("args.0")), args=[value])
        assert same(shown, value), shown
        await play(actor, op("append", at="state.x", value={"it": ref("args.0"), "list": [ref("args.0")]}), args=[value])
    await boundary.sleep(actor)
    found = await play(made(conform), op("value", value=ref("state.x")))
    for value, one in zip(values, found, strict=True):
        assert same(one, {"it": value, "list": [value]}), one


@encodings("cbor", "bare")
@requirement("RUN-104", "RUN-146")
@untimed
async def test_values_over_a_sleep(conform, boundary):
    """Values of state have their type after a wake, as members, in lists and in objects."""
    await kept(conform, boundary, VALUES)


@encodings("cbor", "bare")
@requirement("RUN-104", "RUN-146")
@untimed
async def test_special_numbers_over_a_sleep(conform, boundary):
    """Infinities and what is not a number are themselves after a wake."""
    await kept(conform, boundary, [float("inf"), float("-inf"), float("nan")])
