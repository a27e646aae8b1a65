"""What must be true of every input: a value or the one refusal, in bounded time, in bounded memory."""

from __future__ import annotations

import resource
import time
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fuzz.source import source

if TYPE_CHECKING:
    from fuzz.decoders import Decoder

MOST_SECONDS = 0.05
"""CPU for one input of any size."""
BASE_SECONDS = 0.002
SECONDS_PER_BYTE = 2e-6
BASE_BYTES = 8 * 2**20
BYTES_PER_BYTE = 1024
"""Memory for one byte of an input: a list of empty lists has 56 of them."""
KEPT = 20
"""Failures that are kept of one decoder."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One input that did what none may. `kind` is the same for the same fault."""

    decoder: str
    seed: int
    number: int
    kind: str
    detail: str
    data: str
    stuck: bool = False

    def __str__(self) -> str:
        replay = f"python -m fuzz --decoder {self.decoder} --seed {self.seed} --replay {self.number}"
        return f"{self.kind}\n  {self.detail}\n  {self.data}\n  {replay}"


@dataclass(slots=True)
class Tally:
    """What became of the inputs of one decoder. CPU is of decoding alone, in seconds; memory is growth of the peak, in bytes."""

    inputs: int = 0
    accepted: int = 0
    size: int = 0
    longest: int = 0
    cpu: float = 0.0
    worst: float = 0.0
    worst_number: int = -1
    memory: int = 0
    failures: list[Failure] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Put the tally of another process to this one."""
        for name in ("inputs", "accepted", "size", "cpu", "memory"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.longest = max(self.longest, other.longest)
        if other.worst > self.worst:
            self.worst, self.worst_number = other.worst, other.worst_number
        self.failures += other.failures


def shown(data: Any, most: int = 160) -> str:
    """An input for people: bytes in hexadecimal."""
    text = data.hex() if isinstance(data, bytes) else ascii(data)
    return text if len(text) <= most else f"{text[:most]}... ({len(data)})"


def peak() -> int:
    """The most memory that this process had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def size_of(data: Any) -> int:
    """Bytes or characters of an input."""
    if isinstance(data, (tuple, list)):
        return sum(size_of(part) for part in data)
    return len(data) if isinstance(data, (bytes, str)) else 0


def allowed(size: int) -> float:
    """Seconds of CPU for an input of this size."""
    return min(MOST_SECONDS, BASE_SECONDS + size * SECONDS_PER_BYTE)


def outcome(decoder: Decoder, data: Any) -> tuple[str, BaseException | None]:
    """`accepted`, `refused`, or what was wrong."""
    try:
        decoder.decode(data)
    except decoder.refusal as error:
        # No memory is no property of an input: whoever refuses it for that had begun to build it.
        return ("out of memory", error) if isinstance(error.__cause__, MemoryError) else ("refused", None)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} in {place.name}", error
    return "accepted", None


def one(decoder: Decoder, seed: int, number: int, tally: Tally) -> None:
    """Make one input, try it, count it."""
    data = decoder.make(source(seed, decoder.name, number))
    size, before = size_of(data), peak()
    started = time.thread_time()
    kind, error = outcome(decoder, data)
    spent = time.thread_time() - started
    if spent > allowed(size):
        spent = min(spent, *(_again(decoder, data) for _ in range(3)))  # less a collection of garbage that fell into it
    grown = peak() - before
    tally.inputs += 1
    tally.accepted += kind == "accepted"
    tally.size += size
    tally.longest = max(tally.longest, size)
    tally.cpu += spent
    tally.memory += grown
    if spent > tally.worst:
        tally.worst, tally.worst_number = spent, number
    detail = repr(error)[:200]
    if kind in ("accepted", "refused"):
        if spent > allowed(size):
            kind, detail = "too slow", f"{spent * 1000:.1f} ms of CPU for {size} bytes"
        elif grown > BASE_BYTES + size * BYTES_PER_BYTE:
            kind, detail = "too large", f"{grown / 2**20:.0f} MiB for {size} bytes"
        else:
            return
    if len(tally.failures) < KEPT and all(failure.kind != kind for failure in tally.failures):
        tally.failures.append(Failure(decoder.name, seed, number, kind, detail, shown(shrunk(decoder, data, kind))))


def _again(decoder: Decoder, data: Any) -> float:
    started = time.thread_time()
    outcome(decoder, data)
    return time.thread_time() - started


def shrunk(decoder: Decoder, data: Any, kind: str, seconds: float = 0.5) -> Any:
    """A shorter input with the same fault, as far as `seconds` go; only faults that show at once, and only bytes and text."""
    if not isinstance(data, (bytes, str)) or kind in ("too slow", "too large", "out of memory"):
        return data
    end = time.monotonic() + seconds
    whole: Any = data
    step = max(1, len(whole) // 2)
    while step:
        for at in range(0, len(whole), step):
            shorter = whole[:at] + whole[at + step :]
            if time.monotonic() > end:
                return whole
            if outcome(decoder, shorter)[0] == kind:
                whole = shorter
                break
        else:
            step //= 2
    return whole
