"""Structured logs: key=value on standard error, warnings and up unless asked otherwise (section 8.2)."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import TYPE_CHECKING, Any

import structlog

from runtime.protocol.keys import serialize_key

if TYPE_CHECKING:
    from runtime.actor.ports import ActorIdentity

WINDOW = 30.0
BURST = 3


def configure(level: str = "warning") -> None:
    """Write records of `level` and up to standard error. Records below it cost one comparison."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


def actor_logger(identity: ActorIdentity) -> Any:
    """A logger whose records carry actor id, name, key and generation."""
    return structlog.get_logger("actor").bind(
        actor_id=identity.actor_id, actor=identity.name, key=serialize_key(identity.key or ()), generation=identity.generation
    )


class OverloadLog:
    """At most three overload warnings in 30 seconds; the next one says how many were left out (TASK-006)."""

    def __init__(self, log: Any) -> None:
        self._log = log
        self._since = 0.0
        self._count = 0
        self._suppressed = 0

    def report(self, **fields: Any) -> None:
        """Log one overload unless too many were logged lately."""
        now = asyncio.get_running_loop().time()
        if now - self._since > WINDOW:
            self._since, self._count = now, 0
        self._count += 1
        if self._count > BURST:
            self._suppressed += 1
            return
        self._log.warning("actor inbox overloaded", suppressed=self._suppressed, **fields)
        self._suppressed = 0
