"""The set of actor definitions that one process hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.declaration.definition import ActorDefinition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.declaration.actor import Actor


class Registry:
    """Actor definitions by wire name: `Registry(Counter, ChatRoom)`."""

    def __init__(self, *actors: type[Actor]) -> None:
        self._definitions: dict[str, ActorDefinition] = {}
        for actor in actors:
            self.add(actor)

    def add(self, actor: type[Actor]) -> None:
        """Add one class; raises `ValueError` when its wire name is taken."""
        # Compiled at registration, so that a mistake in a class fails at the start of the program.
        definition = ActorDefinition.of(actor)
        # Silently the later class would get the durable state of the earlier one's actors.
        if definition.name in self._definitions:
            raise ValueError(f"actor name '{definition.name}' is registered twice")
        self._definitions[definition.name] = definition

    def get(self, name: str) -> ActorDefinition | None:
        """The definition with that wire name."""
        return self._definitions.get(name)

    def __iter__(self) -> Iterator[ActorDefinition]:
        return iter(self._definitions.values())

    def __len__(self) -> int:
        return len(self._definitions)
