"""Declared queues: what their messages may carry, and who may send from outside (QUEUE-020, QUEUE-021, ACCESS-020..024)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runtime.declaration.functions import UserFunction
from runtime.declaration.schema import Schema, Validator

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A declared queue: optional body and completion schemas (QUEUE-020/021) and publish guard `(c) -> bool` (ACCESS-020)."""

    schema: Schema | None = None
    completion: Schema | None = None
    can_publish: Callable[..., Any] | None = None


@dataclass(frozen=True, slots=True)
class QueueSpec:
    """One queue of a checked class: what checks bodies and completions, and the guard. None checks nothing."""

    body: Validator | None = None
    completion: Validator | None = None
    can_publish: UserFunction | None = None

    @classmethod
    def of(cls, queue: Queue) -> QueueSpec:
        """What the declaration says."""
        # Not among the hooks: there may be one per queue, and it need not be a method.
        guard = None if queue.can_publish is None else UserFunction.of(queue.can_publish)
        return cls(Validator.of(queue.schema), Validator.of(queue.completion), guard)
