"""Functions of user code, with what their signatures say.

A signature is read once, where a function is declared or registered. Reading it at the call costs more than most actions do, and a cache
by function instead would hold the closures of dead generations, and with them their whole state.
"""

from __future__ import annotations

import inspect
import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runtime.protocol.values import UNDEFINED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, slots=True)
class UserFunction:
    """A hook, an action or a guard, and how it is called.

        from runtime.declaration.functions import UserFunction

        ask = UserFunction.of(lambda text, end="!": text + end)
        assert ask("who", "?", "surplus") == "who?"

    Attributes:
        function: What is called.
        required: How many positional parameters have no default.
        accepted: How many there are; None for any number.
        defaults: The defaults of the parameters after the required ones.
        is_async: Whether the result is certainly awaitable. A plain function may return something awaitable, too, so False means: look.
    """

    function: Callable[..., Any]
    required: int
    accepted: int | None
    defaults: tuple[Any, ...]
    is_async: bool

    @classmethod
    def of(cls, function: Callable[..., Any]) -> UserFunction:
        """Read the signature."""
        required, accepted, defaults = _read(function)
        return cls(function, required, accepted, defaults, inspect.iscoroutinefunction(function))

    def fit(self, args: Sequence[Any]) -> Sequence[Any]:
        """Positional arguments that fit: surplus ones dropped, missing required ones `UNDEFINED`, missing values defaulted."""
        if len(args) == self.required == self.accepted:
            return args
        required, defaults = self.required, self.defaults
        fitted = list(args if self.accepted is None else args[: self.accepted])
        while len(fitted) < required:
            fitted.append(UNDEFINED)
        # A caller on the wire leaves an argument out in the middle by sending `undefined`, so a default must apply there, too.
        for index in range(required, len(fitted)):
            if fitted[index] is UNDEFINED and index - required < len(defaults):
                fitted[index] = defaults[index - required]
        return fitted

    def __call__(self, *args: Any) -> Any:
        """Call it with what fits of `args`; the result may be awaitable."""
        return self.function(*self.fit(args))


def _read(function: Callable[..., Any]) -> tuple[int, int | None, tuple[Any, ...]]:
    if isinstance(function, types.MethodType):
        # Read under the binding: what a method is bound to takes the first place, whatever the signature calls it.
        required, accepted, defaults = _read(function.__func__)
        return max(0, required - 1), None if accepted is None else max(0, accepted - 1), defaults
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return 0, None, ()  # some builtins have no signature: they get everything
    positional = [parameter for parameter in parameters if parameter.kind in _POSITIONAL]
    defaults = tuple(parameter.default for parameter in positional if parameter.default is not parameter.empty)
    unbounded = any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters)
    return len(positional) - len(defaults), None if unbounded else len(positional), defaults
