"""A slice of `tox -e fuzz` at a live server: exchanges of every kind; docs/reference/fuzz.md says what is looked for."""

from __future__ import annotations

from fuzz.live.run import MOST_HELD, fire

INPUTS = 600


async def test_a_server_under_fire_answers_everybody() -> None:
    """Structured answers or a close, and a bystander who waits for nobody (WIRE-020, WIRE-024, WIRE-229, WIRE-315, WIRE-531)."""
    outcome = await fire(1, range(INPUTS), 4)
    assert outcome.faults == []
    assert outcome.inputs == INPUTS
    assert outcome.held <= MOST_HELD
