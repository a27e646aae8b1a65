"""A slice of `tox -e fuzz`: 20,000 inputs, the first of the seed; docs/reference/fuzz.md says what is looked for."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fuzz.decoders import ALL, BY_NAME
from fuzz.oracle import Tally, one, outcome
from fuzz.strategies import inputs

SEED = 1
INPUTS = 20_000 // len(ALL)
FEW = settings(
    max_examples=8, deadline=None, derandomize=True, phases=(Phase.generate, Phase.shrink), suppress_health_check=list(HealthCheck)
)


@pytest.mark.parametrize("name", BY_NAME)
def test_every_input_is_decoded_or_refused(name: str) -> None:
    tally = Tally()
    for number in range(INPUTS):
        one(BY_NAME[name], SEED, number, tally)
    assert not tally.failures, "\n".join(map(str, tally.failures))
    assert tally.inputs == INPUTS


@pytest.mark.parametrize("name", BY_NAME)
def test_the_same_grammar_as_a_strategy(name: str) -> None:
    @FEW
    @given(st.data())
    def check(data: st.DataObject) -> None:
        kind, error = outcome(BY_NAME[name], data.draw(inputs(name)))
        assert kind in ("accepted", "refused"), error

    check()
