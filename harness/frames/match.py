"""Whether what came is exactly what may come: these messages, in an order that the specification allows, and no other."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from harness.codec.values import same

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class AnyOrder:
    """Messages whose order among themselves is not determined."""

    expected: tuple[Any, ...]


def in_any_order(*expected: Any) -> AnyOrder:
    """Messages that all come, in whatever order."""
    return AnyOrder(expected)


def matches(expected: Any, message: Any) -> bool:
    """Whether a message is the expected one.

    Args:
        expected: A message, compared as a client sees values (`False` is not 0); a class, for any message of it; or a function of the
            message.
        message: What came.
    """
    # Before functions, as a class can be called as well.
    if isinstance(expected, type):
        return isinstance(message, expected)
    if is_dataclass(expected):
        return type(expected) is type(message) and all(
            _equal(getattr(expected, one.name), getattr(message, one.name)) for one in fields(expected)
        )
    return bool(expected(message))


def _equal(expected: Any, value: Any) -> bool:
    if is_dataclass(expected) and type(expected) is type(value) and not isinstance(expected, type):
        return matches(expected, value)
    return same(expected, value)


def count(expected: Sequence[Any]) -> int:
    """How many messages are expected."""
    return sum(len(one.expected) if isinstance(one, AnyOrder) else 1 for one in expected)


def difference(expected: Sequence[Any], came: Sequence[Any]) -> str | None:
    """What is wrong with what came, None when it is exactly what was expected."""
    at = 0
    for one in expected:
        wanted = list(one.expected) if isinstance(one, AnyOrder) else [one]
        for _ in range(len(wanted)):
            if at == len(came):
                return f"missing: {', '.join(map(shown, wanted))}"
            # The first that fits, and no search over all pairings: messages that are expected beside each other are meant to differ.
            found = next((index for index, single in enumerate(wanted) if matches(single, came[at])), None)
            if found is None:
                return f"message {at + 1} is {shown(came[at])}, expected {' or '.join(map(shown, wanted))}"
            del wanted[found]
            at += 1
    # At the end and by itself: one message too many is the fault that clients hide, so it is what this is for.
    surplus = came[at:]
    return f"nothing more may come, but came: {', '.join(map(shown, surplus))}" if surplus else None


def shown(value: Any) -> str:
    """A message in a complaint, shortened."""
    text = value.__name__ if isinstance(value, type) else repr(value)
    return text if len(text) <= 200 else text[:197] + "..."
