"""What is known of a function of user code, and which arguments it gets."""

from __future__ import annotations

import functools
import gc
import operator
import weakref
from types import SimpleNamespace

import pytest

from runtime.declaration.functions import UserFunction
from runtime.protocol.values import UNDEFINED


class Holder:
    def hook(self, c, first, second=2): ...

    async def waiting(self, c): ...

    @classmethod
    def made(cls, first): ...

    def __call__(self, c): ...


def plain(c, *rest): ...


@pytest.mark.parametrize(
    ("function", "required", "accepted", "defaults"),
    [
        (Holder.hook, 3, 4, (2,)),
        (Holder().hook, 2, 3, (2,)),
        (Holder.made, 1, 1, ()),
        (Holder(), 1, 1, ()),
        (plain, 1, None, ()),
        (functools.partial(plain, 1), 0, None, ()),
        (lambda: None, 0, 0, ()),
        (lambda c, *, only=1: None, 1, 1, ()),
        (operator.itemgetter(0), 0, None, ()),
        (dict, 0, None, ()),
    ],
)
def test_signature(function, required, accepted, defaults):
    read = UserFunction.of(function)
    assert (read.required, read.accepted, read.defaults) == (required, accepted, defaults)


@pytest.mark.parametrize(
    ("function", "is_async"),
    [
        (Holder().waiting, True),
        (functools.partial(Holder.waiting, 1), True),
        (Holder().hook, False),
        (lambda c: Holder().waiting(c), False),
    ],
)
def test_only_what_is_certainly_awaitable_is_asynchronous(function, is_async):
    assert UserFunction.of(function).is_async is is_async


@pytest.mark.parametrize(
    ("args", "fitted"),
    [
        (["c"], ["c", UNDEFINED]),
        (["c", 1], ["c", 1]),
        (["c", 1, 5], ["c", 1, 5]),
        (["c", 1, UNDEFINED], ["c", 1, 2]),
        (["c", UNDEFINED, UNDEFINED, 4], ["c", UNDEFINED, 2]),
        ([], [UNDEFINED, UNDEFINED]),
    ],
)
def test_arguments_that_fit(args, fitted):
    assert list(UserFunction.of(Holder().hook).fit(args)) == fitted


def test_a_call_gets_what_fits():
    assert UserFunction.of(lambda c, first: (c, first))("c", 1, 2) == ("c", 1)
    assert UserFunction.of(lambda *all: all)(1, UNDEFINED) == (1, UNDEFINED)
    assert UserFunction.of(SimpleNamespace)() == SimpleNamespace()


@pytest.mark.parametrize("bound", [False, True])
def test_closures_of_a_dead_generation_are_not_kept(bound):
    def live():
        generation = Holder()
        UserFunction.of(generation.hook if bound else lambda: generation).fit([])
        return weakref.ref(generation)

    gone = live()
    gc.collect()
    assert gone() is None
