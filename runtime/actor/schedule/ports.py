"""What schedules ask of their actor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from runtime.actor.schedule.alarm import AlarmOwner
from runtime.actor.schedule.firing import FiringOwner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.actor.joining import Join
    from runtime.actor.observer import Part
    from runtime.declaration.options import Options
    from runtime.metrics.registry import ActorMetrics
    from runtime.storage.base import Op


class RunHandler(Protocol):
    """The run handler, as a wake time sees it."""

    @property
    def active(self) -> bool:
        """Whether it is at work."""
        ...

    def ensure_active(self) -> None:
        """Start it again if it has ended."""


class ScheduleOwner(AlarmOwner, FiringOwner, Protocol):
    """What the schedules ask of their actor."""

    @property
    def options(self) -> Options:
        """How many schedules there may be."""
        ...

    @property
    def metrics(self) -> ActorMetrics:
        """Where changes are counted."""
        ...

    @property
    def run(self) -> RunHandler:
        """Who is woken by a wake time."""
        ...

    async def commit_collected(self, collect: Callable[[], Sequence[Op]]) -> None:
        """Write the batch that `collect` gives when nothing is in its way any more."""

    def joinable(self) -> Join | None:
        """The transaction that the caller has to be part of (DB-029)."""
        ...

    def changed(self, part: Part) -> None:
        """Tell whoever watches."""
