"""Options of durable operations. Durations are seconds; None means no limit where a limit is optional."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOptions:
    """Options of a step (section 5). `timeout=None` or <= 0: one attempt may take for ever."""

    max_retries: int = 3
    retry_backoff_base: float = 0.1
    retry_backoff_max: float = 30.0
    timeout: float | None = 30.0
    retry_on_timeout: bool = False
    ephemeral: bool = False
    rollback: Callable[..., Any] | None = None

    def backoff_ms(self, attempts: int) -> int:
        """Milliseconds from the start of failed attempt number `attempts` to the next one (WF-043)."""
        seconds: float = min(self.retry_backoff_max, self.retry_backoff_base * 2 ** min(attempts, 64))
        return round(seconds * 1000)


@dataclass(frozen=True, slots=True)
class Continue:
    """Loop on, with this state (WF-070)."""

    state: Any = None


@dataclass(frozen=True, slots=True)
class Break:
    """End the loop with this value (WF-070, WF-075)."""

    value: Any = None


@dataclass(frozen=True, slots=True)
class Result:
    """Outcome of `try_step` and `try_`: `value` when `ok`, else `failure` (WF-060, WF-065)."""

    ok: bool
    value: Any = None
    failure: dict[str, Any] | None = None
