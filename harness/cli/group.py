"""Sub-commands whose help reads well: descriptions are not cut, and arguments are called by what is meant."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


def _nothing(*_: Any, **__: Any) -> None:
    return None


class Group(TyperGroup):
    """Shows the whole first paragraph of each command; typer cuts it in the middle of a sentence to have it on one line."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name."""
        command: Any = super().get_command(ctx, cmd_name)
        if command is not None and not command.short_help:
            command.short_help = " ".join((command.help or "").partition("\n\n")[0].split())
            for argument in (one for one in command.params if one.param_type_name == "argument"):
                # Typer shows the type behind the name that was given, `EVENTS <list[Path]>`, and has no switch for it.
                argument.display_type_rich = _nothing
        return command
