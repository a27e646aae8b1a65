"""Lets a command take its options as frozen dataclasses.

Typer reads one option per parameter, so commands that share twenty options would repeat twenty parameters. `expanded` gives typer the
signature it wants and the command the values it wants. (Typer has nothing of its own for this.)
"""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Any, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def expanded(function: Callable[..., None]) -> Callable[..., None]:
    """A command whose parameters of a dataclass type become the fields of the dataclass, each an option of its own.

    A field that is a dataclass itself is taken apart in the same way. The names of fields and of the other parameters must differ.

    Example:
        @dataclass(frozen=True, slots=True)
        class Place:
            host: Annotated[str, typer.Option(help="where")] = "localhost"

        @expanded
        def command(place: Place, quiet: bool = False) -> None: ...

    Raises:
        ValueError: two options have the same name.
    """
    # Resolved here, as every module has its annotations as text (`from __future__ import annotations`).
    hints = get_type_hints(function, include_extras=True)
    parameters: dict[str, inspect.Parameter] = {}
    for given in inspect.signature(function).parameters.values():
        kind = hints[given.name]
        # By keyword only: options have no order, and a field with a default may then stand before one without.
        some = _fields(kind) if dataclasses.is_dataclass(kind) else [given.replace(annotation=kind, kind=given.KEYWORD_ONLY)]
        for parameter in some:
            if parameter.name in parameters:
                raise ValueError(f"{function.__module__}: two options are called {parameter.name}")
            parameters[parameter.name] = parameter

    def command(**values: Any) -> None:
        function(**{name: _built(kind, name, values) for name, kind in hints.items() if name != "return"})

    command.__name__, command.__doc__, command.__module__ = function.__name__, function.__doc__, function.__module__
    command.__annotations__ = {name: parameter.annotation for name, parameter in parameters.items()}
    # Both are needed: typer takes the parameters from the signature, and their types from the annotations.
    command.__signature__ = inspect.Signature(list(parameters.values()))  # type: ignore[attr-defined]
    return command


def _fields(kind: Any) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        if dataclasses.is_dataclass(hint):
            yield from _fields(hint)
        else:
            default = inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default
            yield inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)


def _built(kind: Any, name: str, values: dict[str, Any]) -> Any:
    if not dataclasses.is_dataclass(kind):
        return values[name]
    hints = get_type_hints(kind, include_extras=True)
    return kind(**{field.name: _built(hints[field.name], field.name, values) for field in dataclasses.fields(kind)})  # type: ignore[operator]
