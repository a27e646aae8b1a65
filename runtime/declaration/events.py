"""Declared events: what they may carry, and who may subscribe (EVENT-020, ACCESS-030..033)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runtime.declaration.functions import UserFunction
from runtime.declaration.schema import Schema, Validator

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A declared event: optional payload schema (EVENT-020) and subscription guard `(c) -> bool` (ACCESS-030)."""

    schema: Schema | None = None
    can_subscribe: Callable[..., Any] | None = None


@dataclass(frozen=True, slots=True)
class EventSpec:
    """One event of a checked class: what checks its payload, and the guard. None checks nothing (ACCESS-033)."""

    payload: Validator | None = None
    can_subscribe: UserFunction | None = None

    @classmethod
    def of(cls, event: Event) -> EventSpec:
        """What the declaration says."""
        # A guard may be a closure or any other callable, not only a method of the class, so it is read here and not with the hooks.
        guard = None if event.can_subscribe is None else UserFunction.of(event.can_subscribe)
        return cls(Validator.of(event.schema), guard)
