"""One decoder in several processes: each has its share of the numbers, a limit of memory, and somebody who looks whether it gets on."""

from __future__ import annotations

import multiprocessing
import resource
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from fuzz.decoders import BY_NAME
from fuzz.oracle import Failure, Tally, one, shown
from fuzz.source import source

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_MEMORY = 512 * 2**20
"""Bytes of address space over what a worker has when it begins."""
STUCK_SECONDS = 2.0
"""CPU on one input after which its worker is ended."""
TOLD_SECONDS = 0.2
MOST_STUCK = 5
"""Workers that are lost before a decoder is given up."""
POLL = 0.05

# Not forked: a process that tells peaks of memory has to begin with little.
_processes = multiprocessing.get_context("spawn")


@dataclass(slots=True)
class _Share:
    """A worker and what it is at."""

    process: Any
    at: Any
    results: Any
    stop: int
    number: int = -1
    since: float = 0.0


def _work(name: str, seed: int, start: int, stop: int, at: Any, results: Any) -> None:
    """The body of a worker."""
    with open("/proc/self/statm", encoding="ascii") as sizes:  # noqa: PTH123 - one line of a file that is none
        used = int(sizes.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MOST_MEMORY, used + MOST_MEMORY))
    decoder, tally = BY_NAME[name], Tally()
    for number in range(3):
        one(decoder, seed, number, Tally())  # what is made at first use is nobody's input
    told = time.monotonic()
    for number in range(start, stop):
        at.value = number
        one(decoder, seed, number, tally)
        # Told now and then, so that little is lost with a worker that gets stuck.
        if time.monotonic() - told > TOLD_SECONDS:
            results.put((number + 1, tally))
            tally, told = Tally(), time.monotonic()
    results.put((stop, tally))


def run(name: str, seed: int, inputs: int, count: int, progress: Callable[[int], None] = lambda _: None) -> Tally:
    """Try inputs 0 to `inputs` of a decoder in `count` processes.

    Args:
        name: The decoder.
        seed: Of all inputs.
        inputs: How many.
        count: Processes.
        progress: Gets the number of inputs that are done since it was last called.
    """
    total = Tally()
    bounds = [inputs * part // count for part in range(count + 1)]
    shares = [_begin(name, seed, start, stop) for start, stop in pairwise(bounds) if start < stop]
    while shares:
        time.sleep(POLL)
        shares = [after for share in shares if (after := _look(name, seed, share, total, progress)) is not None]
    return total


def _begin(name: str, seed: int, start: int, stop: int) -> _Share:
    at, results = _processes.Value("q", start, lock=False), _processes.SimpleQueue()
    process = _processes.Process(target=_work, args=(name, seed, start, stop, at, results), daemon=True)
    process.start()
    return _Share(process, at, results, stop)


def _look(name: str, seed: int, share: _Share, total: Tally, progress: Callable[[int], None]) -> _Share | None:
    """What is left of a share; another worker for it when this one is stuck or dead."""
    alive = share.process.is_alive()
    done = -1
    while not share.results.empty():
        done, tally = share.results.get()
        total.add(tally)
        progress(tally.inputs)
    if done == share.stop:
        share.process.join()
        return None
    number = share.at.value
    if alive and number != share.number:
        share.number, share.since = number, _cpu(share.process.pid)
    elif not alive or _cpu(share.process.pid) - share.since > STUCK_SECONDS:
        share.process.kill()
        share.process.join()
        kind = "does not end" if alive else f"ends its process with {share.process.exitcode}"
        detail = f"more than {STUCK_SECONDS:.0f} s of CPU" if alive else "no exception"
        data = shown(BY_NAME[name].make(source(seed, name, number)))
        total.failures.append(Failure(name, seed, number, kind, detail, data, stuck=True))
        progress(1)
        lost = sum(failure.stuck for failure in total.failures)
        return _begin(name, seed, number + 1, share.stop) if number + 1 < share.stop and lost < MOST_STUCK else None
    return share


def _cpu(pid: int) -> float:
    """Seconds of CPU that a process had."""
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return 0.0
