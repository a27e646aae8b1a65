"""How a user declares an actor: one class per actor.

    class Counter(Actor):
        name = "counter"
        state = {"count": 0}
        events = {"newCount": Event()}

        @action
        def increment(self, c: Context, amount: int = 1) -> int:
            c.state.count += amount
            c.broadcast("newCount", c.state.count)
            return c.state.count

Hooks are methods of the same class; every hook may be `def` or `async def`. `self` is the definition object, shared by everything and
stateless: everything that belongs to one actor is reached through the context `c`.

Values: an action annotated `-> None` returns nothing (wire `undefined`); otherwise `None` is `null`. A required parameter that the
caller did not send arrives as `UNDEFINED`; surplus arguments are ignored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from runtime.declaration.options import Options
from runtime.protocol.values import UNDEFINED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runtime.declaration.database import DeclaredDatabase
    from runtime.declaration.events import Event
    from runtime.declaration.queues import Queue
    from runtime.declaration.schema import Schema
    from runtime.declaration.tabs import InspectorTab


class Actor:
    """Base class of every actor definition. Subclass it, set class attributes, add actions and hooks.

    Attributes:
        name: The wire name; the class name with a lower-case first letter when not set.
        options: See `Options`.
        state, vars, conn_state: Static initial values, deep-copied per actor, per start, per connection (START-017, RUN-200, CONN-015).
            A dataclass instance is allowed for `state`. Mutually exclusive with `create_state`, `create_vars`, `create_conn_state`.
        events, queues: Declarations by wire name.
        conn_params: Schema of the connection parameters (CONN-042).
        database: Database provider (migrations, SQLAlchemy binding); the raw SQLite database `c.db` needs one (RUN-212).
        inspector_tabs: Tabs of its own for the inspector, or built-in ones to hide (INSP-118).
    """

    # Values and mappings here are defaults that no code changes: a subclass replaces them as a whole.
    name: ClassVar[str] = ""
    options: ClassVar[Options] = Options()
    # Not None, which is a state like any other.
    state: ClassVar[Any] = UNDEFINED
    vars: ClassVar[Any] = UNDEFINED
    conn_state: ClassVar[Any] = UNDEFINED
    events: ClassVar[Mapping[str, Event]] = {}
    queues: ClassVar[Mapping[str, Queue]] = {}
    conn_params: ClassVar[Schema | None] = None
    database: ClassVar[DeclaredDatabase | None] = None
    inspector_tabs: ClassVar[Sequence[InspectorTab]] = ()
