"""Structured logs: key=value on standard error, warnings and up unless asked otherwise (section 8.2)."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from typing import Any, Protocol, TextIO, cast

import structlog

from runtime.errors import ActorError, said_by
from runtime.protocol.keys import serialize_key
from runtime.protocol.values import UNDEFINED

WINDOW = 30.0
BURST = 3
FAULTS = 10
"""Of one kind of fault that requests can bring about, in one window: enough to see what is wrong, too few to fill a disk with."""
MAX_SHOWN = 200
MAX_TEXTS = 64


class Named(Protocol):
    """What the records of an actor say of it."""

    @property
    def actor_id(self) -> str:
        """The actor's id."""
        ...

    @property
    def name(self) -> str:
        """The registered name."""
        ...

    @property
    def key(self) -> tuple[str, ...] | None:
        """The key's elements, None without a key."""
        ...

    @property
    def generation(self) -> int:
        """Which life of the actor."""
        ...


class _StandardError:
    """Whatever standard error is when a record is written: test runners replace it, and loggers live longer than that."""

    def write(self, text: str) -> int:
        try:
            return sys.stderr.write(text)
        except UnicodeEncodeError:
            # A lone surrogate of a file name, or an encoding that knows little: who reports a fault must not fail of its text.
            return sys.stderr.write(text.encode("ascii", "backslashreplace").decode())

    def flush(self) -> None:
        sys.stderr.flush()


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
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", _StandardError())),
        # Bound once: a logger that looks for its configuration at every record costs more than the record.
        cache_logger_on_first_use=True,
    )


def actor_logger(identity: Named) -> Any:
    """A logger whose records carry actor id, name, key and generation."""
    return structlog.get_logger("actor").bind(
        actor_id=identity.actor_id, actor=identity.name, key=serialize_key(identity.key or ()), generation=identity.generation
    )


def debugging(log: Any) -> bool:
    """Whether debug records are written; asked once per actor, so that they cost nothing when they are not."""
    return bool(log.is_enabled_for(logging.DEBUG))


def error_fields(error: BaseException) -> dict[str, Any]:
    """An error in full, as fields of a record (METRIC-060, METRIC-070)."""
    fields: dict[str, Any] = {"error": said_by(error) or type(error).__name__, "exc_info": error}
    if isinstance(error, ActorError):
        fields |= {"group": error.group, "code": error.code}
        if error.metadata is not UNDEFINED:
            fields["metadata"] = error.metadata
    return fields


def shown(text: bytes | str) -> str:
    """What a stranger sent, as much of it as belongs into a record."""
    found = text.decode("latin-1") if isinstance(text, bytes) else text
    return found if len(found) <= MAX_SHOWN else f"{found[:MAX_SHOWN]}... ({len(found)} characters)"


class Allowance:
    """Three records in 30 seconds, or `burst`; counts what was left out."""

    def __init__(self, burst: int = BURST) -> None:
        self._burst = burst
        self._since = -WINDOW
        self._count = 0
        self.suppressed = 0

    def spend(self) -> bool:
        """Whether one more record may be written."""
        try:
            now = asyncio.get_running_loop().time()
        except RuntimeError:
            # On a thread of its own, as the worker of a database.
            now = time.monotonic()
        # The first half is for tests that begin a new loop in one process, whose clock starts anew.
        if now < self._since or now - self._since >= WINDOW:
            self._since, self._count = now, 0
        self._count += 1
        if self._count > self._burst:
            self.suppressed += 1
            return False
        return True


class LimitedLogger:
    """A logger whose warnings and errors are limited, each text by itself; everything else passes.

    What the runtime notes of an actor is often of what strangers ask it: a call that fails fails as often as it is asked for. Texts are
    few; should they not be, those beyond the first share one allowance.

    Attributes:
        unlimited: The logger itself. What an actor's own code writes is its own business.
    """

    __slots__ = ("_allowances", "unlimited")

    def __init__(self, log: Any) -> None:
        self.unlimited = log
        self._allowances: dict[str, Allowance] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unlimited, name)

    def warning(self, event: str, **fields: Any) -> None:
        """Something that the actor survives."""
        self._write("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Something that failed."""
        self._write("error", event, fields)

    def exception(self, event: str, **fields: Any) -> None:
        """Something that failed with the exception being handled."""
        self._write("exception", event, fields)

    def _write(self, level: str, event: str, fields: dict[str, Any]) -> None:
        # One call that fails must not hide that another does.
        text = f"{event} {fields['call']}" if "call" in fields else event
        if text not in self._allowances and len(self._allowances) >= MAX_TEXTS:
            text = ""
        allowance = self._allowances.get(text)
        if allowance is None:
            allowance = self._allowances[text] = Allowance(FAULTS)
        if not allowance.spend():
            return
        if allowance.suppressed:
            fields["suppressed"], allowance.suppressed = allowance.suppressed, 0
        getattr(self.unlimited, level)(event, **fields)


def unlimited(log: Any) -> Any:
    """The logger for an actor's own code."""
    return log.unlimited if isinstance(log, LimitedLogger) else log


class LimitedLog:
    """Warnings of one kind, rate-limited; each says how many were left out before it (TASK-006, TASK-025).

    Args:
        log: Where to.
        event: The text of the records.
        process: An allowance shared by all actors, if there is one.
        burst: How many there may be in one window.
        level: `error` for faults.
    """

    def __init__(self, log: Any, event: str, process: Allowance | None = None, *, burst: int = BURST, level: str = "warning") -> None:
        self._log = log
        self._event = event
        self._own = Allowance(burst)
        self._process = process
        self._level = level

    @classmethod
    def of_faults(cls, log: Any, event: str) -> LimitedLog:
        """For faults that requests can bring about, each with its traceback in `exc_info`."""
        return cls(log, event, burst=FAULTS, level="error")

    def report(self, **fields: Any) -> None:
        """Log one record unless too many were logged lately."""
        process = self._process
        # The actor's own allowance first: one noisy actor must not use up what all share.
        if not self._own.spend() or (process is not None and not process.spend()):
            return
        fields["suppressed"], self._own.suppressed = self._own.suppressed, 0
        if process is not None:
            fields["process_suppressed"], process.suppressed = process.suppressed, 0
        getattr(self._log, self._level)(self._event, **fields)
