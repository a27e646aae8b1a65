"""The grammars as Hypothesis strategies: slower than numbers, and a failure is made small choice by choice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from fuzz.decoders import BY_NAME

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy


def inputs(name: str) -> SearchStrategy[Any]:
    """Inputs of one decoder."""
    return st.randoms(use_true_random=False).map(BY_NAME[name].make)
