"""Recurring schedules: cadence, next run, validation (section 2.8)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import CroniterError, croniter  # type: ignore[import-untyped]

from runtime import clock
from runtime.errors import make_error

MINIMUM_INTERVAL_MS = 5000
MAX_NAME_BYTES = 128
MAX_HISTORY = 1000
_FIELDS = 5


LATEST_MS = 8_640_000_000_000_000
"""The last moment of a JS date, epoch milliseconds; no longer interval has a second run."""


@dataclass(frozen=True, slots=True)
class CronSpec:
    """The cadence of a recurring schedule: an expression in a time zone (`cron`) or an interval in milliseconds (`every`)."""

    kind: str
    expression: str | None = None
    timezone: str | None = None
    interval_ms: int | None = None


def check_name(name: str) -> None:
    """Raise schedule.invalid_name for an empty name, one over 128 UTF-8 bytes, and one that is no text."""
    if not name:
        raise make_error("schedule.invalid_name", reason="must not be empty")
    try:
        size = len(name.encode())
    except (UnicodeEncodeError, AttributeError) as error:
        raise make_error("schedule.invalid_name", reason="must be valid text") from error
    if size > MAX_NAME_BYTES:
        raise make_error("schedule.invalid_name", reason="must be at most 128 UTF-8 bytes")


def check_max_history(value: int) -> None:
    """Raise schedule.invalid_max_history outside 0..1000."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_HISTORY:
        raise make_error("schedule.invalid_max_history", max_history=value, maximum=MAX_HISTORY)


def cron_spec(expression: str, timezone: str | None) -> CronSpec:
    """A checked cron cadence; raises schedule.invalid_cron_expression, schedule.invalid_timezone."""
    zone = timezone or "UTC"
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise make_error("schedule.invalid_timezone", timezone=zone) from error
    if len(expression.split()) != _FIELDS:
        raise make_error("schedule.invalid_cron_expression", reason="expected exactly five fields")
    try:
        # One that never matches, like the 30th of February, is found out by asking for a match.
        croniter(expression, datetime(2000, 1, 1, tzinfo=UTC)).get_next()
    except (CroniterError, ValueError, KeyError) as error:
        raise make_error("schedule.invalid_cron_expression", reason=str(error)) from error
    return CronSpec("cron", expression=expression, timezone=zone)


def every_spec(interval_ms: float) -> CronSpec:
    """A checked interval cadence; raises schedule.invalid_interval below 5000 ms."""
    if isinstance(interval_ms, bool) or not isinstance(interval_ms, (int, float)) or not MINIMUM_INTERVAL_MS <= interval_ms <= LATEST_MS:
        raise make_error("schedule.invalid_interval", interval_ms=_whole(interval_ms), minimum_ms=MINIMUM_INTERVAL_MS)
    return CronSpec("every", interval_ms=round(interval_ms))


def _whole(milliseconds: Any) -> Any:
    """Seconds become fractions of milliseconds on the way; an error names the number that was meant."""
    whole = isinstance(milliseconds, float) and math.isfinite(milliseconds) and abs(milliseconds - round(milliseconds)) < 1e-6
    return round(milliseconds) if whole else milliseconds


def first_run(spec: CronSpec) -> int:
    """The first run from now, epoch milliseconds."""
    now = clock.now_ms()
    return now + spec.interval_ms if spec.interval_ms is not None else next_run(spec, now, now)


def next_run(spec: CronSpec, scheduled_ms: int, now_ms: int) -> int:
    """The run after `now_ms`: intervals stay anchored and missed ticks coalesce (TASK-302)."""
    if spec.interval_ms is not None:
        # From the schedule and not from now: otherwise each late fire would shift all later ones.
        missed = max(0, now_ms - scheduled_ms) // spec.interval_ms
        return scheduled_ms + spec.interval_ms * (missed + 1)
    return _next_cron(spec, now_ms)


def _next_cron(spec: CronSpec, after_ms: int) -> int:
    """Walk the expression in naive local time, so that a spring-forward gap is skipped and a fall-back hour fires once (TASK-301)."""
    assert spec.expression is not None  # only cron schedules come here
    zone = ZoneInfo(spec.timezone or "UTC")
    local = datetime.fromtimestamp(after_ms / 1000, zone).replace(tzinfo=None)
    # From two hours back, because local time runs backwards at a fall-back; what is over is skipped below.
    walk = croniter(spec.expression, local - timedelta(hours=2))
    while True:
        naive: datetime = walk.get_next(datetime)
        instant = naive.replace(tzinfo=zone, fold=0)
        exists = instant.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == naive
        milliseconds = round(instant.timestamp() * 1000)
        if exists and milliseconds > after_ms:
            return milliseconds
