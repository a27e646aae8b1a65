"""A timeline as an inline SVG picture.

Places are in percent of the width and sizes in pixels, so that the picture fits any window and its text keeps its size.
"""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TITLE = 15
LANE = 15
BAR = 11
GAP = 5
AXIS = 22
MOST_LANES = 8
TICKS = 5
# Drawn by hand: the page has to work from a mail, without scripts or fonts of others.
LEFT, RIGHT = 1.0, 98.5
"""The drawn part of the width, in percent."""
ROOM_FOR_TEXT = 14.0
"""A bar that is so wide, in percent, has its label written on it."""
BEHIND = ("socket", "answering")
"""What is drawn behind the rest of its row, and takes no place in it."""
POINTS = ("created", "destroyed")
"""What is drawn on top of the bars of its row."""
MOST_WITH_TEXT = 4
"""A row with no more shapes than this has a line, and a label, for each."""


class _Scale:
    """From seconds to percent."""

    def __init__(self, spans: Sequence[Mapping[str, Any]]) -> None:
        # What began before the test is drawn before its zero.
        self.first = min(0.0, *(span["at"] for span in spans)) if spans else 0.0
        self.last = max([self.first + 0.0001, *(span.get("until", span["at"]) for span in spans)])

    def x(self, at: float) -> float:
        share: float = (at - self.first) / (self.last - self.first)
        return round(LEFT + share * (RIGHT - LEFT), 2)

    def ticks(self) -> list[float]:
        """Round numbers, about `TICKS` of them."""
        rough = (self.last - self.first) / TICKS
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
        return [number * step for number in range(math.ceil(self.first / step), math.floor(self.last / step) + 1)]


def draw(spans: Sequence[Mapping[str, Any]], title: str) -> str:
    """The picture of one timeline; empty when there is nothing in it."""
    if not spans:
        return ""
    scale = _Scale(spans)
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for span in spans:
        rows.setdefault(span["row"], []).append(span)
    parts: list[str] = []
    y = 0
    for name, some in rows.items():
        drawn, lanes = _row(some, scale, y + TITLE)
        height = TITLE + lanes * LANE + GAP
        parts.append(f'<line class="rule" x1="0" y1="{y + height}" x2="100%" y2="{y + height}"/>')
        parts.append(f'<text class="row" x="{LEFT}%" y="{y + 11}">{escape(name)}</text>')
        parts += drawn
        y += height
    crossings = [
        f'<line class="mark" x1="{scale.x(span["at"])}%" y1="0" x2="{scale.x(span["at"])}%" y2="{y}"/>'
        for span in spans
        if span["kind"] == "mark"
    ]
    head = f'<svg class="timeline" role="img" aria-label="{escape(title)}" width="100%" height="{y + AXIS}">'
    return "".join([head, *_axis(scale, y), *crossings, *parts, "</svg>"])


def time(seconds: float) -> str:
    """Seconds as people read them."""
    if abs(seconds) >= 1:
        return f"{seconds:.3f}".rstrip("0").rstrip(".") + " s"
    return f"{seconds * 1000:.1f}".removesuffix(".0") + " ms"


def _row(some: Sequence[Mapping[str, Any]], scale: _Scale, top: int) -> tuple[list[str], int]:
    """One row; what overlaps stands below each other, as long as there is room."""
    behind = [span for span in some if span["kind"] in BEHIND]
    points = [span for span in some if span["kind"] in POINTS]
    front = [span for span in some if span["kind"] not in BEHIND + POINTS]
    spacious = len(front) <= MOST_WITH_TEXT and not points
    shapes = [_shape(span, scale, top) for span in behind]
    free: list[float] = []
    for span in front:
        start, end = scale.x(span["at"]), scale.x(span.get("until", span["at"]))
        lane = next((number for number, taken in enumerate(free) if taken <= start), len(free))
        # Over one another then: a row of a hundred lines would push everything else off the screen.
        lane = lane if lane < MOST_LANES else free.index(min(free))
        y = top + lane * LANE
        shapes.append(_shape(span, scale, y))
        roomy = end - start >= ROOM_FOR_TEXT
        # Text on the bar where it fits, else beside it, else only as a tooltip: overlapping labels read worse than none.
        if roomy:
            shapes.append(_inside(span, scale, y, 10 if points else 4))
        elif spacious:
            shapes.append(_beside(span, scale, y))
        # A point or short bar is wider than its time, and a label beside it needs the line for itself.
        free[lane : lane + 1] = [100.0 if spacious and not roomy else max(end, start + 0.8)]
    shapes += [_shape(span, scale, top) for span in points]
    return shapes, max(1, len(free))


def _shape(span: Mapping[str, Any], scale: _Scale, y: int) -> str:
    kind, x, title = escape(span["kind"]), scale.x(span["at"]), f"<title>{escape(span['label'])} ({_when(span)})</title>"
    if "until" not in span:
        return f'<circle class="{kind}" cx="{x}%" cy="{y + BAR / 2}" r="3.5">{title}</circle>'
    width = round(max(scale.x(span["until"]) - x, 0.1), 2)
    return f'<rect class="{kind}" x="{x}%" y="{y}" width="{width}%" height="{BAR}" rx="1">{title}</rect>'


def _inside(span: Mapping[str, Any], scale: _Scale, y: int, indent: int) -> str:
    """The label on a bar; a nested picture cuts it off at its own edge."""
    x = scale.x(span["at"])
    width = round(scale.x(span["until"]) - x, 2)
    return f'<svg class="on" x="{x}%" y="{y}" width="{width}%" height="{BAR}"><text x="{indent}" y="9">{escape(span["label"])}</text></svg>'


def _beside(span: Mapping[str, Any], scale: _Scale, y: int) -> str:
    """The label on the side that has more room."""
    start, end = scale.x(span["at"]), scale.x(span.get("until", span["at"]))
    left = start > (LEFT + RIGHT) / 2
    x, shift, side = (start, -7, "beside end") if left else (end, 7, "beside")
    return f'<text class="{side}" x="{x}%" dx="{shift}" y="{y + 9}">{escape(span["label"])}</text>'


def _when(span: Mapping[str, Any]) -> str:
    return f"{time(span['at'])} to {time(span['until'])}" if "until" in span else time(span["at"])


def _axis(scale: _Scale, bottom: int) -> list[str]:
    parts = []
    for at in scale.ticks():
        x = scale.x(at)
        anchor = "start" if x < 4 else "end" if x > 94 else "middle"
        parts.append(f'<line class="tick" x1="{x}%" y1="0" x2="{x}%" y2="{bottom}"/>')
        parts.append(f'<text class="axis" style="text-anchor:{anchor}" x="{x}%" y="{bottom + 15}">{time(at)}</text>')
    return parts
