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

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, overload

from runtime.declaration.options import Options
from runtime.declaration.tabs import InspectorTab, check_tabs
from runtime.protocol.values import UNDEFINED

if TYPE_CHECKING:
    from runtime.actor.database.provider import DatabaseProvider
    from runtime.declaration.schema import Schema

F = TypeVar("F", bound=Callable[..., Any])

HOOKS = (
    "on_migrate", "create_state", "on_create", "create_vars", "on_wake", "run", "on_sleep", "on_destroy", "on_state_change",
    "on_before_connect", "create_conn_state", "on_connect", "on_disconnect", "on_request", "on_web_socket", "on_before_action_response",
)  # fmt: skip
"""Hook methods a class may define. Signatures, all after `self`:

`on_migrate(c, is_new)`, `create_state(c, input)`, `on_create(c, input)`, `create_vars(c, driver)`, `on_wake(c)`, `run(c)`, `on_sleep(c)`,
`on_destroy(c)`, `on_state_change(c, state)` (sync), `on_before_connect(c, params)`, `create_conn_state(c, params)`, `on_connect(c, conn)`,
`on_disconnect(c, conn)`, `on_request(c, request) -> Response`, `on_web_socket(c, socket)`,
`on_before_action_response(c, name, args, output) -> output`. Trailing parameters may be left out. `run` may also be a `workflow(fn)`.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A declared event: optional payload schema (EVENT-020) and subscription guard `(c) -> bool` (ACCESS-030)."""

    schema: Schema | None = None
    can_subscribe: Callable[..., Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A declared queue: optional body and completion schemas (QUEUE-020/021) and publish guard `(c) -> bool` (ACCESS-020)."""

    schema: Schema | None = None
    completion: Schema | None = None
    can_publish: Callable[..., Any] | None = None


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """One action: wire name, function (still taking `self`), argument schema, and whether it returns nothing."""

    name: str
    function: Callable[..., Any]
    args: Schema | None = None
    void: bool = False


class _Action:
    """Marker left by `@action` in a class body; the metaclass-free collection happens in `ActorDefinition.of`."""

    def __init__(self, function: Callable[..., Any], name: str | None, args: Schema | None) -> None:
        self.function = function
        self.name = name or function.__name__
        self.args = args

    def spec(self) -> ActionSpec:
        void = self.function.__annotations__.get("return", UNDEFINED) in (None, "None", type(None))
        return ActionSpec(self.name, self.function, self.args, void)

    def __get__(self, instance: object, owner: type | None = None) -> Any:
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

    name: ClassVar[str] = ""
    options: ClassVar[Options] = Options()
    state: ClassVar[Any] = UNDEFINED
    vars: ClassVar[Any] = UNDEFINED
    conn_state: ClassVar[Any] = UNDEFINED
    events: ClassVar[Mapping[str, Event]] = {}
    queues: ClassVar[Mapping[str, Queue]] = {}
    conn_params: ClassVar[Schema | None] = None
    database: ClassVar[DatabaseProvider | None] = None
    inspector_tabs: ClassVar[Sequence[InspectorTab]] = ()


@dataclass(frozen=True, slots=True)
class ActorDefinition:
    """A checked actor class: what the runtime works with. `hooks` maps a hook name to its bound method."""

    name: str
    options: Options
    actions: Mapping[str, ActionSpec]
    hooks: Mapping[str, Callable[..., Any]]
    instance: Actor
    state: Any = UNDEFINED
    vars: Any = UNDEFINED
    conn_state: Any = UNDEFINED
    events: Mapping[str, Event] = field(default_factory=dict)
    queues: Mapping[str, Queue] = field(default_factory=dict)
    conn_params: Schema | None = None
    database: DatabaseProvider | None = None
    inspector_tabs: tuple[InspectorTab, ...] = ()

    @classmethod
    def of(cls, actor: type[Actor]) -> ActorDefinition:
        """Check a class and compile it.

        Raises:
            TypeError: Unknown class attribute types, a hook that is not callable.
            ValueError: Both a static value and its builder (START-002), two actions with one wire name (START-003), or a malformed
                inspector tab (INSP-118).
        """
        instance = actor()
        hooks = {hook: getattr(instance, hook) for hook in HOOKS if getattr(actor, hook, None) is not None}
        for static, builder, label in (("state", "create_state", "createState"), ("vars", "create_vars", "createVars"),
                                       ("conn_state", "create_conn_state", "createConnState")):  # fmt: skip
            if getattr(actor, static) is not UNDEFINED and builder in hooks:
                wire = "connState" if static == "conn_state" else static
                raise ValueError(f"Cannot define both '{wire}' and '{label}'")
        return cls(
            name=actor.name or actor.__name__[:1].lower() + actor.__name__[1:],
            options=actor.options,
            actions=_collect_actions(actor),
            hooks=hooks,
            instance=instance,
            state=actor.state,
            vars=actor.vars,
            conn_state=actor.conn_state,
            events=dict(actor.events),
            queues=dict(actor.queues),
            conn_params=actor.conn_params,
            database=actor.database,
            inspector_tabs=check_tabs(actor.inspector_tabs),
        )

    @property
    def has_state(self) -> bool:
        """Whether the actor has state at all (RUN-210)."""
        return self.state is not UNDEFINED or "create_state" in self.hooks


def _collect_actions(actor: type[Actor]) -> dict[str, ActionSpec]:
    found: dict[str, ActionSpec] = {}
    owners: dict[str, str] = {}
    for attribute, member in inspect.getmembers_static(actor):
        if not isinstance(member, _Action):
            continue
        spec = member.spec()
        if hasattr(Actor, attribute):
            raise TypeError(f"an action cannot take the place of {attribute!r}: put @action({attribute!r}) on a method with another name")
        if spec.name in found and owners[spec.name] != attribute:
            raise ValueError(f"Multiple action definitions flatten to `{spec.name}`")
        found[spec.name], owners[spec.name] = spec, attribute
    return dict(sorted(found.items()))
