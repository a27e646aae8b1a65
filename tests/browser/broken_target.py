"""The reference runtime with one thing broken, for reports that have something to say: `--target tests.browser.broken_target:make`."""

from __future__ import annotations

from harness.targets.reference import ReferenceTarget
from runtime.hosting.standalone.alarms import AlarmClock


class ForgetfulClock(AlarmClock):
    """Never rings."""

    def set(self, actor_id: str, at_ms: int | None) -> None:
        """Forget the alarm."""


class BrokenTarget(ReferenceTarget):
    name = "broken-alarms"

    async def start(self, storage: str):
        # The worker that loads this target serves nothing else.
        AlarmClock.set = ForgetfulClock.set
        return await super().start(storage)


def make() -> BrokenTarget:
    return BrokenTarget()
