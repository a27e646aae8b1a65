"""The hooks that a class may define: their names and signatures, and how they are collected.

Every hook is a method. There is no registration at run time: what an actor does at its start, its stop and its connections is known when
its class is, so that a hook that is not there costs nothing.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from runtime.declaration.functions import UserFunction
from runtime.protocol.values import UNDEFINED

if TYPE_CHECKING:
    from runtime.declaration.actor import Actor

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

_BUILDERS = (
    ("state", "create_state", "state", "createState"),
    ("vars", "create_vars", "vars", "createVars"),
    ("conn_state", "create_conn_state", "connState", "createConnState"),
)
"""Static value, the hook that builds one instead, and the names of both in messages."""


def collect_hooks(actor: type[Actor], instance: Actor) -> dict[str, UserFunction]:
    """The hooks of a class by name, bound to the instance.

    Raises:
        ValueError: There are both a static value and its builder (START-002); a hook is a generator, or `on_state_change` asynchronous.
    """
    # `run = None` in a subclass takes the hook of its base away. The instance is asked, because `workflow(fn)` is a descriptor.
    hooks = {hook: UserFunction.of(getattr(instance, hook)) for hook in HOOKS if getattr(actor, hook, None) is not None}
    for static, builder, shown, shown_builder in _BUILDERS:
        if getattr(actor, static) is not UNDEFINED and builder in hooks:
            raise ValueError(f"Cannot define both '{shown}' and '{shown_builder}'")
    for name, hook in hooks.items():
        # Called, it gives an object that nobody iterates, so not a line of it would ever run.
        if inspect.isgeneratorfunction(hook.function) or inspect.isasyncgenfunction(hook.function):
            raise ValueError(f"{name} must not be a generator: it would never run")
    # It runs inside of a change and its outcome is that of the action (RUN-125): there is nothing that could await it.
    if "on_state_change" in hooks and hooks["on_state_change"].is_async:
        raise ValueError("on_state_change must be a plain function: it cannot be asynchronous")
    return hooks
