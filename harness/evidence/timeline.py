"""The timeline of one test: what a black box observed, on one time axis, small enough to travel in the event stream."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from harness.evidence import traffic
from harness.evidence.decode import ACTOR_ID
from harness.evidence.lives import SHORT, identities, lives
from harness.evidence.signs import signs
from harness.evidence.span import Span, brief

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.evidence.decode import Reading

MOST_IN_A_ROW = 60
MOST_ROWS = 16
ORDER = (traffic.HARNESS, traffic.CALLS, "socket", "actor", "sleep and wake", "saves", "alarms", traffic.MANAGER, "target log")
"""The rows from top to bottom, by the first words of their names."""
_LOGGED = re.compile(r"timestamp=(?P<at>\S+).*?(?:event|msg)=(?:\"(?P<quoted>[^\"]*)\"|(?P<word>\S+))")
# Of a log only what belongs beside these rows; all of it is in the bundle.
_WORTH = re.compile(r"save|alarm|schedule|sleep|wake|transition", re.IGNORECASE)


def derive(
    readings: Iterable[Reading], *, began: float, epoch: float, records: Sequence[tuple[float, Any]] = (), log: str = ""
) -> list[dict[str, Any]]:
    """The observations of a test in the order of rows and time.

    Args:
        readings: The transcript, decoded.
        began: Loop time in seconds at which the test began.
        epoch: The wall clock at that moment, in seconds.
        records: Further answers of the manager, each with the loop time it came.
        log: What the target logged meanwhile, if its clock is that of `epoch`.
    """
    seen = traffic.read(readings, began)
    for at, answer in records:
        # As if the test had asked: a look that comes after the end shows how actors went on.
        seen.note(answer, at - began)
    spans = [*seen.spans, *lives(seen, epoch), *signs(seen, identities(seen)), *_logged(log, epoch)]
    # Limited by rows and within rows: a timeline is made for every failure, and one of a thousand frames helps nobody.
    rows: dict[str, list[Span]] = {}
    for span in sorted(spans, key=lambda one: (one.at, one.until or one.at)):
        rows.setdefault(span.row, []).append(span)
    names = sorted(rows, key=lambda name: next(rank for rank, head in enumerate(ORDER) if name.startswith(head)))
    shown = [span for name in names[:MOST_ROWS] for span in _shortened(_coalesced(rows[name]))]
    if len(names) > MOST_ROWS:
        left = ", ".join(names[MOST_ROWS:])
        shown.append(Span(traffic.HARNESS, "mark", f"{len(names) - MOST_ROWS} more rows are left out: {left}", seen.end))
    # The rows name actors by the beginning of their ids, and so do the labels.
    return [{**span.event(), "label": ACTOR_ID.sub(lambda found: found[0][:SHORT], span.label)} for span in shown]


def _coalesced(spans: Sequence[Span]) -> list[Span]:
    """Polling is one stretch, not a hundred requests."""
    joined: list[Span] = []
    count = 1
    for span in spans:
        last = joined[-1] if joined else None
        plain = last.label.partition(" (x")[0] if last is not None else ""
        # Only the manager is polled; calls that repeat each other are the test's own.
        if last is not None and span.row == traffic.MANAGER and (span.kind, span.label) == (last.kind, plain):
            count += 1
            joined[-1] = Span(last.row, last.kind, f"{plain} (x{count})", last.at, span.until)
        else:
            count = 1
            joined.append(span)
    return joined


def _shortened(spans: list[Span]) -> list[Span]:
    if len(spans) <= MOST_IN_A_ROW:
        return spans
    half = MOST_IN_A_ROW // 2
    left = spans[half:-half]
    end = max(span.until or span.at for span in left)
    return [*spans[:half], Span(spans[0].row, "more", f"{len(left)} more, not drawn", left[0].at, end), *spans[-half:]]


def _logged(log: str, epoch: float) -> list[Span]:
    """Records of a target that logs in logfmt; what they say is the target's word, not an observation."""
    spans = []
    for found in _LOGGED.finditer(log):
        text = found["quoted"] or found["word"]
        try:
            at = datetime.fromisoformat(found["at"]).timestamp() - epoch
        except ValueError:
            continue
        if _WORTH.search(text):
            spans.append(Span("target log", "logged", brief(text), at))
    return spans
