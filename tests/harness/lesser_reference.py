"""The reference runtime with less: `--target tests.harness.lesser_reference:without_metrics` does not declare a capability, and
`...:broken_metrics` declares it while the behaviour is really broken.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from harness.targets.reference import CAPABILITIES, ReferenceTarget

if TYPE_CHECKING:
    from harness.targets import Endpoint


def _overload() -> None:
    from runtime.actor.lifecycle.inbox import Inbox
    from runtime.errors import make_error

    def check(self, operation):
        if self._closed is not None:
            raise make_error(self._closed)

    Inbox.check = check


def _reentrancy() -> None:
    from runtime.actor.state.actor_state import ActorState

    guarded = ActorState.before_change

    def before_change(self):
        inside, self._in_hook = self._in_hook, False
        try:
            guarded(self)
        finally:
            self._in_hook = inside

    ActorState.before_change = before_change


def _metric_labels() -> None:
    from runtime.metrics.registry import Metrics

    render = Metrics.render

    def only_what_happened(self):
        lines = render(self).split(b"\n")
        return b"\n".join(line for line in lines if b"inbox_depth" in line or not line.endswith((b" 0.0", b" 0")))

    Metrics.render = only_what_happened


BREAK = {"overload": _overload, "reentrancy": _reentrancy, "metric_labels": _metric_labels}


class LesserReference(ReferenceTarget):
    """One session is one process, so what is broken stays broken in it and nowhere else."""

    def __init__(self, *, without: str = "", broken: str = "") -> None:
        super().__init__()
        self.capabilities = CAPABILITIES - {without}
        self._broken = broken

    async def start(self, storage: str) -> Endpoint:
        # Not earlier: the runner makes a target of its own to look at it, in the process of the unit tests.
        if self._broken:
            BREAK[self._broken]()
        return await super().start(storage)


def __getattr__(name: str):
    how, _, capability = name.partition("_")
    if how not in ("without", "broken") or capability not in CAPABILITIES:
        raise AttributeError(name)
    return partial(LesserReference, **{how: capability})
