"""What can go wrong in a test apart from the target misbehaving.

A verdict has to say whose fault it is, so these are kept apart from assertion failures: a `HarnessError` blames the test or the harness, an
`Inconclusive` blames nobody.
"""

from __future__ import annotations


# No `AssertionError`: that word is the target's, and whoever catches it must not catch faults of the harness.
class HarnessError(Exception):
    """The test or the harness is at fault; the verdict is `error`, never `fail`."""


class StaleHandleError(HarnessError):
    """A handle from before a sleep or destroy boundary was used after it; reacquire it by key."""


class TargetError(HarnessError):
    """The target could not be started, reached or stopped."""


class TargetDied(TargetError):
    """The target ended, or answers no more, while a test ran."""


class Blocked(HarnessError):
    """The test cannot be run, as something it needs is gone since another test; the verdict is `blocked`.

    Attributes:
        by: the id of that test.
    """

    def __init__(self, by: str, reason: str) -> None:
        """`reason` says what is gone."""
        super().__init__(f"blocked by {by}: {reason}")
        self.by = by


class UsageError(HarnessError):
    """An option, a target specification or a mark makes no sense."""


class ClientViolation(HarnessError):
    """The client library sent what no message schema allows."""


# An `AssertionError`, as the message came from the target; kept apart only because it counts outside the test's own call, too.
class SchemaViolation(AssertionError):
    """The target sent what no message schema allows; the verdict is `fail` whatever else the test saw."""


class TimingMissed(AssertionError):
    """A limit of time passed, or timers came in another order; the verdict is `fail` unless the machine stood still meanwhile."""


class TimedOut(Exception):
    """The test did not end in time; the verdict is `fail` unless the machine stood still meanwhile."""


class Inconclusive(Exception):
    """The test could not tell; the verdict is `inconclusive`, never `pass`."""


def inconclusive(reason: str) -> None:
    """End the running test with the verdict *inconclusive*.

    Raises:
        Inconclusive: always.
    """
    raise Inconclusive(reason)
