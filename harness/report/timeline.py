"""The lifecycle of a failed test as a picture: requests, sockets, marks and the actors' lives on one axis, as inline SVG."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

WIDTH = 960
LEFT = 150
ROW = 22
MOST_SOCKETS = 6
MOST_ACTORS = 4
LIFE = {
    "create_ts": "created", "start_ts": "started", "connectable_ts": "awake", "sleep_ts": "asleep", "destroy_ts": "destroyed",
}  # fmt: skip
_LOGGED = re.compile(r"timestamp=(?P<at>\S+).*?event=(?:\"(?P<quoted>[^\"]*)\"|(?P<word>\S+))")
_WORTH = re.compile(r"save|alarm|schedule|sleep|transition", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing on a row: a point, or a bar when it has an end. Seconds since the test began."""

    row: str
    start: float
    end: float | None
    label: str
    kind: str


def draw(directory: Path) -> str:
    """The picture of a bundle; empty when it has no transcript."""
    rows = _rows(directory / "transcript.ndjson")
    if not rows:
        return ""
    known = about(directory)
    epoch = known.get("epoch_ms")
    marks = [*_wire(rows), *_lives(rows, epoch), *_log(directory / "target.log", epoch, virtual=known.get("time") == "virtual")]
    return svg(marks)


def about(directory: Path) -> dict[str, Any]:
    """What `bundle.json` says; nothing when it is not there."""
    path = directory / "bundle.json"
    known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return known


def svg(marks: Sequence[Mark]) -> str:
    """Rows in the order they first occur, the axis in milliseconds or seconds below."""
    names = list(dict.fromkeys(mark.row for mark in marks))
    first = min(min(mark.start for mark in marks), 0.0)
    last = max(max(mark.end or mark.start for mark in marks), first + 0.001)
    height = ROW * len(names) + 34

    def x(at: float) -> float:
        return round(LEFT + (at - first) / (last - first) * (WIDTH - LEFT - 20), 1)

    head = f'<svg class="timeline" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="timeline of the test">'
    parts = [head]
    for number, name in enumerate(names):
        y = number * ROW
        parts.append(f'<text class="row" x="{LEFT - 8}" y="{y + 15}">{escape(name)}</text>')
        parts.append(f'<line class="rule" x1="{LEFT}" y1="{y + ROW}" x2="{WIDTH}" y2="{y + ROW}"/>')
    for mark in marks:
        y = names.index(mark.row) * ROW
        title = f"<title>{escape(mark.label)} at {_time(mark.start)}</title>"
        if mark.end is None:
            parts.append(f'<circle class="{mark.kind}" cx="{x(mark.start)}" cy="{y + 11}" r="4">{title}</circle>')
        else:
            width = max(2.0, round(x(mark.end) - x(mark.start), 1))
            parts.append(f'<rect class="{mark.kind}" x="{x(mark.start)}" y="{y + 5}" width="{width}" height="12" rx="2">{title}</rect>')
    bottom = ROW * len(names)
    for step in range(6):
        at = first + (last - first) * step / 5
        parts.append(f'<line class="tick" x1="{x(at)}" y1="0" x2="{x(at)}" y2="{bottom}"/>')
        parts.append(f'<text class="axis" x="{x(at)}" y="{bottom + 18}">{_time(at)}</text>')
    return "".join([*parts, "</svg>"])


def _wire(rows: Iterable[dict[str, Any]]) -> list[Mark]:
    marks: list[Mark] = []
    opened: dict[int, tuple[float, str]] = {}
    last = 0.0
    for row in rows:
        last = max(last, row["t"])
        if row["kind"] == "mark":
            marks.append(Mark("harness", row["t"], None, row["text"], "mark"))
        elif row["kind"] == "http":
            path = row["url"].partition("://")[2].partition("/")[2].partition("?")[0]
            what = "calls" if "/action/" in path or "/queue/" in path or "/request" in path else "manager"
            bad = row["status"] is None or row["status"] >= 400
            label = f"{row['method']} /{path} {row['error'] or row['status']}"
            marks.append(Mark(what, row["t"], row["t"] + row["seconds"], label, "bad" if bad else "call"))
        elif row["socket"] < MOST_SOCKETS or row["socket"] in opened or len(opened) < MOST_SOCKETS:
            marks += _socket(row, opened)
    # What was still open at the end of the test reaches to its end.
    marks += [Mark(f"socket {number}", start, last, url, "socket") for number, (start, url) in opened.items()]
    return marks


def _socket(row: dict[str, Any], opened: dict[int, tuple[float, str]]) -> list[Mark]:
    name = f"socket {row['socket']}"
    if row["event"] == "open":
        opened[row["socket"]] = (row["t"], row["url"])
        return []
    if row["event"] == "closed":
        start, url = opened.pop(row["socket"], (row["t"], ""))
        return [Mark(name, start, row["t"], f"{url} closed {row['code']} {row['reason']}", "socket")]
    arrow = "->" if row["event"] == "sent" else "<-"
    return [Mark(name, row["t"], None, f"{arrow} {json.dumps(row.get('decoded', row['data']))[:120]}", str(row["event"]))]


def _lives(rows: Iterable[dict[str, Any]], epoch: int | None) -> list[Mark]:
    """When actors slept and woke, as every manager answer in the transcript says."""
    if epoch is None:
        return []
    seen: dict[tuple[str, str, int], None] = {}
    for row in rows:
        answer = row.get("response", {}).get("decoded")
        if isinstance(answer, dict):
            one = answer.get("actor")
            for record in [*(answer.get("actors") or []), *([one] if isinstance(one, dict) else [])]:
                if isinstance(record, dict) and "actor_id" in record:
                    seen.update(dict.fromkeys((record["actor_id"], field, record[field]) for field in LIFE if record.get(field)))
    actors = list(dict.fromkeys(actor for actor, _, _ in seen))[:MOST_ACTORS]
    return [
        Mark(f"actor {actor[:8]}", (at - epoch) / 1000, None, f"{LIFE[field]} ({actor})", LIFE[field])
        for actor, field, at in seen
        if actor in actors
    ]


def _log(path: Path, epoch: int | None, *, virtual: bool) -> list[Mark]:
    """Saves, alarms and lifecycle records of a target that logs in logfmt; in virtual time its clock is not ours."""
    if epoch is None or virtual or not path.exists():
        return []
    marks = []
    for found in _LOGGED.finditer(path.read_text(encoding="utf-8", errors="replace")):
        event = found["quoted"] or found["word"]
        try:
            at = datetime.fromisoformat(found["at"]).timestamp() - epoch / 1000
        except ValueError:
            continue
        if _WORTH.search(event):
            marks.append(Mark("target log", at, None, event, "logged"))
    return marks


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if abs(seconds) < 1 else f"{seconds:.2f} s"


def _rows(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
