"""What a target may or may not be able to do.

A target declares its capabilities; a test names the one it needs with `@capability(...)`. A test whose capability is not declared gets the
verdict *skip* and names the capability: it is unsupported. A declared capability that does not work is an ordinary failure.
"""

from __future__ import annotations

from harness.did_you_mean import named
from harness.errors import UsageError

# A closed list: a misspelt capability in a mark would skip its test on every target, for good.
KNOWN: dict[str, str] = {
    "overload": "bounded inboxes answer actor.overloaded at once (TASK-003, TASK-004, WIRE-840)",
    "close_ack": "raw WebSockets go through the full close acknowledgement cycle (RAWWS-050..069)",
    "tagged_values": "JSON carries every value of the compat layer (WIRE section 7.2)",
    "destroy_like_sleep": "destroy persists hibernatable connections as sleep does (HIB-060, profile seed)",
    "reentrancy": "onStateChange re-entrancy fails with actor.state_mutation_reentrant",
    "abort_grace": "state is saved even when the grace deadline was exceeded",
    "namespaces": "namespaces and pools can be created through the manager API",
    "inspector": "the inspector endpoints are served",
    "metrics": "the metrics endpoint is served",
    "metric_labels": "every label combination is listed from the start (METRIC-023)",
    "admin_token": "the target was started with an admin token",
    "runtime_socket": "the actor runtime socket is served",
}
"""Every capability a mark or a target may name, with one sentence of explanation."""

RESERVED = frozenset({"abort_grace", "admin_token", "runtime_socket"})
"""Capabilities a target may declare already, though no test asks for them yet: nothing depends on them."""
ALL = frozenset(KNOWN)
SEED = frozenset({"overload", "destroy_like_sleep", "close_ack", "reentrancy"})
"""Capabilities that the profile `seed` promises beyond the peer."""
PROFILES = ("peer-2.3", "seed")
"""What a target can promise to be; each holds what the ones before it hold."""


def parse(names: str | None) -> frozenset[str]:
    """Read a comma-separated list; `all` means every known capability.

    Raises:
        UsageError: a name is unknown.
    """
    if not names:
        return frozenset()
    # Alone, `all` is every capability; beside others it is a name like any other, and unknown.
    wanted = frozenset(part.strip() for part in names.split(",") if part.strip())
    if wanted == {"all"}:
        return ALL
    check(wanted)
    return wanted


def check(names: frozenset[str]) -> None:
    """Reject names that no target could declare.

    Raises:
        UsageError: a name is unknown.
    """
    unknown = sorted(names - ALL)
    if unknown:
        raise UsageError(f"unknown capability {named(unknown, ALL)}; known: {', '.join(sorted(ALL))}")
