"""Where inputs come from: the input of a grammar is made of its seed and its number alone."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

Item = TypeVar("Item")


def source(seed: int, name: str, number: int) -> Random:
    """The chance of one input. Not `hash`, which differs between processes."""
    return random.Random(f"{seed}/{name}/{number}")  # noqa: S311 - to be repeated, not to be secret


def pick(chance: Random, items: Sequence[Item]) -> Item:
    """One of them; three times as fast as `choice`, and most of an input is such choices."""
    return items[int(chance.random() * len(items))]


def upto(chance: Random, most: int) -> int:
    """0 to `most`, small numbers more often."""
    return int((most + 1) * chance.random() * chance.random())
