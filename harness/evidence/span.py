"""What a timeline is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

LONGEST_TEXT = 100


@dataclass(frozen=True, slots=True)
class Span:
    """One observation: a point in time, or a stretch when it has an end. Times in seconds since the test began.

    Attributes:
        row: what it belongs to: `harness`, `calls`, a socket, an actor ...
        kind: how it is drawn, see `harness/events/schema.json`.
        label: what was seen, in words.
    """

    row: str
    kind: str
    label: str
    at: float
    until: float | None = None

    def event(self) -> dict[str, Any]:
        """As it stands in the event stream."""
        # Rounded to a tenth of a millisecond: timelines travel in the event stream, and nobody sees more of them.
        end = {} if self.until is None else {"until": round(max(self.at, self.until), 4)}
        return {"row": self.row, "kind": self.kind, "label": self.label, "at": round(self.at, 4), **end}


def brief(value: Any) -> str:
    """A value in one short line."""
    text = value if isinstance(value, str) else repr(value)
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}..."
