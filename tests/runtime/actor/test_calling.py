"""How many arguments user code takes."""

from __future__ import annotations

import functools
import gc
import weakref

import pytest

from runtime.actor.calls.user_code import arity, fit
from runtime.protocol.values import UNDEFINED


class Holder:
    def hook(self, c, first, second=2): ...

    @classmethod
    def made(cls, first): ...

    def __call__(self, c): ...


def plain(c, *rest): ...


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (Holder.hook, (3, 4, (2,))),
        (Holder().hook, (2, 3, (2,))),
        (Holder.made, (1, 1, ())),
        (Holder(), (1, 1, ())),
        (plain, (1, None, ())),
        (functools.partial(plain, 1), (0, None, ())),
        (lambda: None, (0, 0, ())),
    ],
)
def test_arity(function, expected):
    assert arity(function) == expected
    assert arity(function) == expected, "the second answer comes from memory"


def test_arguments_that_fit():
    assert fit(Holder().hook, ["c"]) == ["c", UNDEFINED]
    assert fit(Holder().hook, ["c", 1, UNDEFINED, 4]) == ["c", 1, 2]


@pytest.mark.parametrize("bound", [False, True])
def test_closures_of_a_dead_generation_are_not_kept(bound):
    def live():
        generation = Holder()
        fit(generation.hook if bound else lambda: generation, [])
        return weakref.ref(generation)

    gone = live()
    gc.collect()
    assert gone() is None
