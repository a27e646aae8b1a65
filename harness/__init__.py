"""The conformance harness: pytest plug-in, targets, clock, ledger, gate, flake loops and the `conform` command.

A driver test needs only these names (and the fixtures `conform`, `clock`, `eventually`, `expect_error`, `boundary`, `witness`):

    from harness import suite, timing, untimed, requirement, capability, any_encoding, encodings, inconclusive
"""

from harness.errors import HarnessError, Inconclusive, StaleHandleError, inconclusive
from harness.testing.marks import any_encoding, capability, depends_on, encodings, requirement, suite, timing, untimed

__all__ = [
    "HarnessError",
    "Inconclusive",
    "StaleHandleError",
    "any_encoding",
    "capability",
    "depends_on",
    "encodings",
    "inconclusive",
    "requirement",
    "suite",
    "timing",
    "untimed",
]
