"""Families of metrics as Prometheus text, version 0.0.4.

Why not the client library's renderer: it takes some ten microseconds per line, so that a scrape of a process with a hundred actor names
stood in the way of all its actors for a second.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Row = tuple[tuple[str, ...], float]
"""Label values, value."""

Bucketed = tuple[tuple[str, ...], list[tuple[str, float]], float]
"""Label values, cumulative buckets (upper bound, count), sum."""


def gauge(name: str, labels: tuple[str, ...], rows: Iterable[Row]) -> str:
    """A value that goes up and down."""
    return _family(name, "gauge", (f"{name}{_labels(labels, values)} {float(value)!r}\n" for values, value in rows))


def counter(name: str, labels: tuple[str, ...], rows: Iterable[Row]) -> str:
    """A value that only grows; `name` is without `_total`."""
    return _family(f"{name}_total", "counter", (f"{name}_total{_labels(labels, values)} {float(value)!r}\n" for values, value in rows))


def histogram(name: str, labels: tuple[str, ...], rows: Iterable[Bucketed]) -> str:
    """Observations by upper bound."""
    return _family(name, "histogram", (_buckets(name, _labels(labels, values), buckets, total) for values, buckets, total in rows))


def _buckets(name: str, labels: str, buckets: list[tuple[str, float]], total: float) -> str:
    # The closing brace is cut off, so that all buckets share the text of the other labels.
    start = labels[:-1]
    lines = [f'{name}_bucket{start},le="{bound}"}} {float(count)!r}\n' for bound, count in buckets]
    return f"{''.join(lines)}{name}_count{labels} {float(buckets[-1][1])!r}\n{name}_sum{labels} {float(total)!r}\n"


def _family(name: str, kind: str, samples: Iterable[str]) -> str:
    return f"# HELP {name} {name.replace('_', ' ')}\n# TYPE {name} {kind}\n{''.join(samples)}"


# Label sets come back with every scrape, and are few next to their values.
@lru_cache(maxsize=2**16)
def _labels(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True)) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
