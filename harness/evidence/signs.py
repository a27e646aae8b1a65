"""What the standard fixtures let a client see of saves, alarms, sleep and wake: by the names of actions, events and counters.

A counter that is higher in one answer than in the answer before it says that the thing happened between the two, no more.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from harness.evidence.span import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.evidence.traffic import Call, Traffic

# By the names of our fixtures: on other actors this finds little, and claims nothing.
ROWS = (
    ("saves", re.compile(r"save(?!d?Count)|persist|flush", re.IGNORECASE), re.compile(r"(?i)save|persist|flush")),
    ("alarms", re.compile(r"alarm|schedul|cron", re.IGNORECASE), re.compile(r"(?i)alarm|schedul|cron|tick")),
    ("sleep and wake", re.compile(r"sleep|wake(?!.*until)", re.IGNORECASE), re.compile(r"(?i)sleep|wake|start(?!ed?at)")),
)
"""Row, what its actions and events are called, what its counters are called."""
# A question about saves is no save.
_READS = re.compile(r"^(get|is|has|list|read|fetch)(?=[A-Z_]|$)")
_COUNTER = re.compile(r"(?i)(count|counts|counter)$")


def signs(traffic: Traffic, identify: Callable[[str], str]) -> list[Span]:
    """The spans of the rows `saves`, `alarms`, and `sleep and wake`."""
    spans = [
        Span(row, "asked" if call.ok else "failed", f"asked for {call.shown}", call.started, call.ended)
        for call in traffic.calls
        if not _READS.match(call.name) and (row := _row(call.name, 1))
    ]
    spans += [Span(row, "told", event.shown, event.at) for event in traffic.told if (row := _row(event.name, 1))]
    last: dict[tuple[str, str], tuple[float, int]] = {}
    # In the order of the answers: a counter may only be compared with what was known when its answer came.
    for call in sorted(traffic.calls, key=lambda one: one.ended):
        for name, value in _counters(call):
            row, key = _row(name, 2), (identify(call.actor), name)
            if row is None:
                continue
            # Per actor, as two actors of one kind count for themselves.
            before = last.get(key)
            last[key] = (call.ended, value)
            if before is None and value:
                spans.append(Span(row, "counted", f"{name} is {value} in the first answer that has it", call.ended))
            elif before is not None and value > before[1]:
                spans.append(Span(row, "counted", f"{name} {before[1]} -> {value} between two answers", before[0], call.ended))
    return spans


def _row(name: str, column: int) -> str | None:
    return next((row[0] for row in ROWS if re.search(row[column], name)), None)


def _counters(call: Call) -> Iterator[tuple[str, int]]:
    """Whole numbers under names that end in `Count`, in a result that is a record; or the result of an action of such a name."""
    output: Any = call.output
    if isinstance(output, dict):
        for name, value in output.items():
            if isinstance(name, str) and _COUNTER.search(name) and isinstance(value, int) and not isinstance(value, bool):
                yield name, value
    elif isinstance(output, int) and not isinstance(output, bool) and _COUNTER.search(call.name):
        name = _READS.sub("", call.name)
        yield name[:1].lower() + name[1:], output
