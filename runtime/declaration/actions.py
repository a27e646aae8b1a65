"""Actions: the `@action` decorator, and what it says once the class is checked (TASK-102, TASK-115).

The decorator leaves a marker in the class body, which `collect_actions` looks for when the class is registered. `__init_subclass__` could
look as the class is made, but it would refuse base classes that only their subclasses complete, and fail at import.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, overload

from runtime.declaration.functions import UserFunction
from runtime.declaration.schema import Schema, Validator
from runtime.protocol.values import UNDEFINED

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """One action of a checked class.

    Attributes:
        name: The wire name.
        function: The method, still taking `self`.
        args: What checks the argument list; None for anything.
        void: Whether it is annotated `-> None`, so that callers get `undefined` and not `null`.
    """

    name: str
    function: UserFunction
    args: Validator | None = None
    void: bool = False


class _Action:
    """Marker left by `@action` in a class body."""

    def __init__(self, function: Callable[..., Any], name: str | None, args: Schema | None) -> None:
        self.function = function
        self.name = name or function.__name__
        self.args = args

    def spec(self) -> ActionSpec:
        # The annotation as it is written: evaluating it could fail on names that exist only for type checkers.
        void = self.function.__annotations__.get("return", UNDEFINED) in (None, "None", type(None))
        return ActionSpec(self.name, UserFunction.of(self.function), Validator.of(self.args), void)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        # On an instance it is the plain method, so that hooks and other actions can call it.
        return self.function.__get__(instance, owner) if instance is not None else self


@overload
def action(name_or_function: F) -> F: ...
@overload
def action(name_or_function: str | None = None, *, args: Schema | None = None) -> Callable[[F], F]: ...
def action(name_or_function: Any = None, *, args: Schema | None = None) -> Any:
    """Declare a method as an action, with its wire name if that differs: `@action` or `@action("wireName")`.

    Dotted wire names form groups (`@action("calculator.add")`, TASK-102). `args` validates the argument list (TASK-115).
    """
    if callable(name_or_function):
        return _Action(name_or_function, None, None)
    return lambda function: _Action(function, name_or_function, args)


def collect_actions(actor: type, reserved: type) -> dict[str, ActionSpec]:
    """The actions of a class by wire name, in the order of their names.

    Args:
        actor: The class.
        reserved: A class whose attributes no action may replace.

    Raises:
        TypeError: An action has the name of an attribute of `reserved`.
        ValueError: Two actions have one wire name (START-003).
    """
    found: dict[str, ActionSpec] = {}
    owners: dict[str, str] = {}
    for attribute, member in inspect.getmembers_static(actor):
        if not isinstance(member, _Action):
            continue
        spec = member.spec()
        if hasattr(reserved, attribute):
            raise TypeError(f"an action cannot take the place of {attribute!r}: put @action({attribute!r}) on a method with another name")
        if spec.name in found and owners[spec.name] != attribute:
            raise ValueError(f"Multiple action definitions flatten to `{spec.name}`")
        found[spec.name], owners[spec.name] = spec, attribute
    return dict(sorted(found.items()))
