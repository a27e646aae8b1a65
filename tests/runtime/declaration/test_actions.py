"""Methods that are actions."""

import pytest

from runtime.declaration.actions import action, collect_actions
from runtime.errors import ActorError


class Reserved:
    taken = 1


class Mixin:
    @action("math.add")
    def add(self, c, a, b=1):
        return a + b


class Plain(Mixin):
    @action
    def zero(self, c) -> None: ...

    @action(args=list[int])
    async def checked(self, c, *numbers): ...

    def no_action(self, c): ...


def test_actions_of_a_class_and_its_bases():
    found = collect_actions(Plain, Reserved)
    assert list(found) == ["checked", "math.add", "zero"]
    assert found["math.add"].function(Plain(), "c", 1) == 2
    assert found["checked"].function.is_async


@pytest.mark.parametrize(("annotation", "void"), [(None, True), ("None", True), (type(None), True), ("int", False)])
def test_void_is_what_is_annotated_so(annotation, void):
    def method(self, c): ...

    method.__annotations__["return"] = annotation
    assert collect_actions(type("X", (), {"method": action(method)}), Reserved)["method"].void is void


def test_an_action_without_annotation_is_not_void():
    assert not collect_actions(Plain, Reserved)["math.add"].void


def test_arguments_are_checked_only_when_declared_so():
    found = collect_actions(Plain, Reserved)
    assert found["zero"].args is None
    assert found["checked"].args.check(["1"]) == [1]
    with pytest.raises(ActorError, match=r"actor\.validation_error"):
        found["checked"].args.check(["x"])


def test_an_override_replaces_the_action():
    class Other(Mixin):
        @action("math.add")
        def add(self, c):
            return "other"

    assert collect_actions(Other, Reserved)["math.add"].function(Other(), "c") == "other"


def test_two_actions_with_one_wire_name():
    class Twice(Mixin):
        @action("math.add")
        def plus(self, c): ...

    with pytest.raises(ValueError, match=r"flatten to `math\.add`"):
        collect_actions(Twice, Reserved)


def test_a_reserved_name():
    class Bad:
        @action
        def taken(self, c): ...

    with pytest.raises(TypeError, match="'taken'"):
        collect_actions(Bad, Reserved)


def test_on_an_instance_it_is_the_method():
    assert Plain().add("c", 2, 3) == 5
