"""`ActorDefinition`: an actor class, checked and taken apart into frozen values.

What depends on the class alone is found out here, once: which hooks there are, how many arguments each takes, which action returns
nothing, how a schema is applied. Calls look nothing up by reflection.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runtime.declaration.actions import ActionSpec, collect_actions
from runtime.declaration.actor import Actor
from runtime.declaration.events import EventSpec
from runtime.declaration.hooks import collect_hooks
from runtime.declaration.queues import QueueSpec
from runtime.declaration.schema import Validator
from runtime.declaration.tabs import InspectorTab, check_tabs
from runtime.protocol.values import UNDEFINED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.declaration.database import DeclaredDatabase
    from runtime.declaration.functions import UserFunction
    from runtime.declaration.options import Options


@dataclass(frozen=True, slots=True)
class ActorDefinition:
    """A checked actor class: what the runtime works with. `hooks` maps a hook name to its bound method."""

    name: str
    options: Options
    actions: Mapping[str, ActionSpec]
    hooks: Mapping[str, UserFunction]
    instance: Actor
    state: Any = UNDEFINED
    vars: Any = UNDEFINED
    conn_state: Any = UNDEFINED
    events: Mapping[str, EventSpec] = field(default_factory=dict)
    queues: Mapping[str, QueueSpec] = field(default_factory=dict)
    conn_params: Validator | None = None
    database: DeclaredDatabase | None = None
    inspector_tabs: tuple[InspectorTab, ...] = ()

    @classmethod
    def of(cls, actor: type[Actor]) -> ActorDefinition:
        """Check a class and compile it.

        Raises:
            TypeError: An action has the name of an attribute of `Actor`.
            ValueError: Both a static value and its builder (START-002), two actions with one wire name (START-003), or a malformed
                inspector tab (INSP-118).
        """
        # One instance for all actors of the class: what belongs to one of them is in its context, never on `self`.
        instance = actor()
        hooks = collect_hooks(actor, instance)
        return cls(
            name=actor.name or actor.__name__[:1].lower() + actor.__name__[1:],
            options=actor.options,
            actions=collect_actions(actor, Actor),
            hooks=hooks,
            instance=instance,
            state=actor.state,
            vars=actor.vars,
            conn_state=actor.conn_state,
            events={name: EventSpec.of(event) for name, event in actor.events.items()},
            queues={name: QueueSpec.of(queue) for name, queue in actor.queues.items()},
            conn_params=Validator.of(actor.conn_params),
            database=actor.database,
            inspector_tabs=check_tabs(actor.inspector_tabs),
        )

    @property
    def has_state(self) -> bool:
        """Whether the actor has state at all (RUN-210)."""
        return self.state is not UNDEFINED or "create_state" in self.hooks
