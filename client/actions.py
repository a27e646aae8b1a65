"""Action calls written as attribute access."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class ActionCaller:
    """`target.a.b`: calling it calls the action `a.b` (WIRE-914)."""

    __slots__ = ("_action", "_name")

    def __init__(self, action: Callable[..., Awaitable[Any]], name: str) -> None:
        self._action = action
        self._name = name

    def __getattr__(self, name: str) -> ActionCaller:
        # Names with an underscore are asked for by pickle, copy, debuggers and `hasattr`; an answer would look to them like an
        # implementation.
        if name.startswith("_"):
            raise AttributeError(name)
        return ActionCaller(self._action, f"{self._name}.{name}")

    def __call__(self, *args: Any) -> Awaitable[Any]:
        """The call, to be awaited."""
        return self._action(self._name, *args)

    def __repr__(self) -> str:
        return f"<action {self._name}>"
