"""Every option of an actor, with the defaults of the specification, in one frozen class."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.http import Request

DEFAULT_GRACE = 15.0
LEGACY_ON_SLEEP_TIMEOUT = 5.0
LEGACY_WAIT_UNTIL_TIMEOUT = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of one actor definition. All durations are seconds.

    `sleep_grace_period=None` means "not set": the default or the legacy sum applies (SLEEP-062, SLEEP-063).

    Raises:
        TypeError: An option has the wrong type (START-001).
        ValueError: An option is out of range (START-001).
    """

    sleep_timeout: float = 30.0
    sleep_grace_period: float | None = None
    no_sleep: bool = False
    state_save_interval: float = 1.0
    action_timeout: float = 60.0
    create_vars_timeout: float = 5.0
    create_conn_state_timeout: float = 5.0
    on_before_connect_timeout: float = 5.0
    on_connect_timeout: float = 5.0
    on_migrate_timeout: float = 30.0
    connection_liveness_timeout: float = 2.5
    connection_liveness_interval: float = 5.0
    max_queue_size: int = 1000
    max_queue_message_size: int = 65536
    max_schedules: int = 1000
    can_hibernate_web_socket: bool | Callable[[Request], bool] = False
    lifecycle_command_inbox_capacity: int = 64
    dispatch_command_inbox_capacity: int = 1024
    lifecycle_event_inbox_capacity: int = 4096
    on_sleep_timeout: float | None = None
    wait_until_timeout: float | None = None
    on_destroy_timeout: float | None = None
    icon: str | None = None
    display_name: str | None = None

    def __post_init__(self) -> None:
        # Checked as they are made: a wrong option fails where it is written, not at the first actor that uses it.
        for item in fields(self):
            self._check(item.name, getattr(self, item.name))
        # Three frames up: this method, the constructor that the decorator made, and the line of the user.
        if self.wait_until_timeout is not None or self.on_destroy_timeout is not None:
            warnings.warn(
                "wait_until_timeout and on_destroy_timeout are deprecated: use sleep_grace_period", DeprecationWarning, stacklevel=3
            )

    @staticmethod
    def _check(name: str, value: object) -> None:
        if name in {"icon", "display_name"}:
            if value is not None and not isinstance(value, str):
                raise TypeError(f"option {name} must be a string, got {value!r}")
        elif name == "no_sleep":
            # Exactly a bool: `no_sleep=0.5` is more likely a time in the wrong place than a truth.
            if not isinstance(value, bool):
                raise TypeError(f"option no_sleep must be a bool, got {value!r}")
        elif name == "can_hibernate_web_socket":
            if not isinstance(value, bool) and not callable(value):
                raise TypeError(f"option {name} must be a bool or a predicate, got {value!r}")
        elif name.startswith("max_") or name.endswith("_capacity"):
            # A bool is an int in Python, and `max_queue_size=True` no size.
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"option {name} must be an integer, got {value!r}")
            # Zero schedules are a way to forbid them; a queue or an inbox without room could never be used.
            if value < (0 if name == "max_schedules" else 1):
                raise ValueError(f"option {name} is out of range: {value}")
        elif value is not None:
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise TypeError(f"option {name} must be a number of seconds, got {value!r}")
            # Written so that NaN fails, too.
            if not (value > 0 and math.isfinite(value)):
                raise ValueError(f"option {name} must be a positive number of seconds, got {value}")

    @property
    def grace_period(self) -> float:
        """The effective graceful window in seconds (SLEEP-060..063)."""
        if self.sleep_grace_period is not None:
            return self.sleep_grace_period
        on_sleep = LEGACY_ON_SLEEP_TIMEOUT if self.on_sleep_timeout is None else self.on_sleep_timeout
        wait_until = LEGACY_WAIT_UNTIL_TIMEOUT if self.wait_until_timeout is None else self.wait_until_timeout
        # Only when one of the old options was changed: their defaults add up to more than the new default (SLEEP-062, SLEEP-063).
        if on_sleep != LEGACY_ON_SLEEP_TIMEOUT or wait_until != LEGACY_WAIT_UNTIL_TIMEOUT:
            return on_sleep + wait_until
        return DEFAULT_GRACE
