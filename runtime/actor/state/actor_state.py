"""The state of one generation: tracked, flushed to `on_state_change`, saved (sections 7.1 and 7.2).

Two marks run side by side, because the two listeners have different clocks: *unsaved* is cleared when the rows are collected for a save,
*unflushed* when the hook has been called, at the end of an invocation or of a turn of the loop.
"""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import inspect
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from runtime.actor.lifecycle.tracked_work import WorkKind
from runtime.actor.observer import Part
from runtime.actor.rows import ACTOR_TABLE, STATE_KEY
from runtime.actor.state.tracking import copy_in, plain, same, track
from runtime.errors import ActorError, make_error, raise_contained
from runtime.protocol import cbor
from runtime.protocol.cbor_heads import STORED
from runtime.protocol.decode_errors import reading
from runtime.protocol.values import UNDEFINED, from_wire, to_wire
from runtime.storage.base import Op, Put

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.actor.lifecycle.inbox import Inbox
    from runtime.actor.lifecycle.tracked_work import WorkTracker
    from runtime.actor.observer import Observer
    from runtime.actor.state.saving import StateSaver
    from runtime.declaration.definition import ActorDefinition
    from runtime.metrics.registry import ActorMetrics


class StateOwner(Protocol):
    """What the state asks of its actor."""

    @property
    def definition(self) -> ActorDefinition:
        """The declared state and the hook that hears of changes."""
        ...

    @property
    def metrics(self) -> ActorMetrics:
        """Where mutations are counted."""
        ...

    @property
    def log(self) -> Any:
        """Where failures of the hook are noted."""
        ...

    @property
    def work(self) -> WorkTracker:
        """The hook is work while it runs."""
        ...

    @property
    def saver(self) -> StateSaver:
        """Who saves the state."""
        ...

    @property
    def events(self) -> Inbox[Any]:
        """The inbox that a mutation needs room in."""
        ...

    @property
    def observer(self) -> Observer | None:
        """Who watches, if anybody does."""
        ...

    def send_event(self, event: str, apply: Callable[[], None]) -> None:
        """Have `apply` called when the event inbox is served."""

    def context(self) -> object:
        """A fresh context for the hook."""


class ActorState:
    """Owner of `c.state`; a `Tracker` for it and for connection state's reentrancy rule; a save source."""

    def __init__(self, owner: StateOwner) -> None:
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._value: Any = UNDEFINED
        hook = owner.definition.hooks.get("on_state_change")
        self._hook = None if hook is None else hook.function
        self._unsaved = False
        self._saving = False
        self._unflushed = False
        self._in_hook = False
        self._flush_due = False
        self._guard: Callable[[], None] | None = None
        self._counted = owner.metrics.mutations

    @property
    def value(self) -> Any:
        """The tracked state.

        Raises:
            ActorError: actor.state_not_enabled (RUN-210).
        """
        if not self._owner.definition.has_state:
            raise make_error("actor.state_not_enabled")
        return self._value

    def replace(self, value: Any) -> None:
        """Assign the whole state; an equal value is no change."""
        if not self._owner.definition.has_state:
            raise make_error("actor.state_not_enabled")
        self._check("user_set_state")
        if value is self._value:
            return
        tracked = track(value, self)
        if not same(self._value, tracked):
            self._value = tracked
            self._note("user_set_state")

    def install(self, value: Any) -> None:
        """Take over freshly created state: no mutation, no hook (START-015); raises TypeError for what cannot be stored (START-070)."""
        self._install(track(value, self))

    def _install(self, tracked: Any) -> None:
        self._value = tracked
        self._counted["internal_replace"] += 1

    def load(self, data: bytes) -> None:
        """Install stored bytes, as the declared dataclass if there is one."""
        with reading("the state"):
            value = from_wire(cbor.loads(data, STORED))
        declared = self._owner.definition.state
        if dataclasses.is_dataclass(declared) and not isinstance(declared, type):
            value = msgspec.convert(value, type=type(declared), strict=False)
        # Not looked at again: what was stored once must load, whatever is refused today.
        self._install(copy_in(value, self))

    def initial(self) -> Any:
        """A deep copy of the static initial state (START-017, RUN-110)."""
        return copy.deepcopy(self._owner.definition.state)

    def put(self) -> Put:
        """The state as a row, serialized now (RUN-148)."""
        return Put(ACTOR_TABLE, STATE_KEY, cbor.dumps_exact(to_wire(plain(self._value))))

    def reserve(self, guard: Callable[[], None] | None) -> None:
        """Ask `guard` before every change, also of connection state; None ends that (DB-182)."""
        self._guard = guard

    def copy(self) -> Callable[[], None]:
        """Copy the value; what is returned brings it back (DB-181)."""
        value = copy_in(self._value, self)

        def restore() -> None:
            # An untouched value stays the object that code may hold on to.
            if not same(self._value, value):
                self._value = value
                self._note("internal_replace")

        return restore

    # Tracker.

    def before_change(self) -> None:
        """Refuse writes inside `on_state_change` and while the event inbox has no room (RUN-123, section 2.1)."""
        self._check("user_mutate_state")

    def changed(self) -> None:
        """Save later, and tell the hook at the end of this turn (RUN-120)."""
        self._note("user_mutate_state")

    def _check(self, reason: str) -> None:
        if self._in_hook:
            raise make_error("actor.state_mutation_reentrant")
        if self._guard is not None:
            self._guard()
        # Only the first change since the last save needs room: the ones after it send no event.
        if not self._unsaved:
            try:
                self._owner.events.check("state_mutated")
            except ActorError as error:
                # Counted here and not by the inbox, which knows the event but not what caused it (METRIC-022).
                if error.name == "actor.overloaded":
                    self._owner.metrics.mutation_overloads[reason] += 1
                raise

    def _note(self, reason: str) -> None:
        self._counted[reason] += 1
        if not self._unsaved:
            # There is room: `before_change` looked.
            self._owner.send_event("state_mutated", self._owner.saver.request)
            self._unsaved = True
        if self._owner.observer is not None:
            self._owner.observer.changed(Part.STATE)
        if self._hook is not None:
            self._unflushed = True
            if not self._flush_due:
                self._flush_due = True
                # For changes outside any invocation, in a timer for instance; inside one its end often comes first.
                self._loop.call_soon(self.flush_turn)

    def flush(self) -> None:
        """Call `on_state_change` if anything changed since the last call; what it raises is raised (RUN-120, RUN-125)."""
        if not self._unflushed or self._in_hook or self._hook is None:
            return
        # Cleared first: a hook that raises has been told, and is not told again until something else changes.
        self._unflushed = False
        self._in_hook = True
        try:
            with self._owner.work.region(WorkKind.STATE_CHANGE):
                answer = self._hook(self._owner.context(), self._value)
            if inspect.isawaitable(answer):
                # A plain function may give one, which a declaration can't show. Nobody could await it: the hook is part of a change.
                if inspect.iscoroutine(answer):
                    answer.close()
                raise TypeError("on_state_change must not be asynchronous")
        except BaseException as error:
            raise_contained(error)
        finally:
            self._in_hook = False

    def flush_quietly(self) -> None:
        """`flush` where nobody could be told: what the hook raises is logged."""
        try:
            self.flush()
        except Exception as error:
            self._owner.log.error("onStateChange failed", error=repr(error))

    def flush_turn(self) -> None:
        """`flush` within a call that it must not fail: what the hook raises is logged (RUN-127)."""
        self._flush_due = False
        try:
            self.flush()
        except Exception:
            self._owner.log.exception("onStateChange failed")

    # Save source.

    @property
    def unsaved(self) -> bool:
        """Whether the state changed since the last save."""
        return self._unsaved

    def collect(self) -> list[Op]:
        """The state if it changed."""
        if not self._unsaved or not self._owner.definition.has_state:
            return []
        # Serialized before the marks change: what can't be serialized stays unsaved, whoever asked for the save (DB-039).
        row = self.put()
        self._unsaved, self._saving = False, True
        return [row]

    def settled(self, ok: bool) -> None:
        """A failed save leaves the state unsaved (DB-039)."""
        if self._saving and not ok:
            self._unsaved = True
        elif self._saving and self._owner.observer is not None:
            self._owner.observer.changed(Part.SAVED)
        self._saving = False
