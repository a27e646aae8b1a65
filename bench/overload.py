"""`python -m bench overload`: what others notice of an actor that is asked for more than it can do."""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
from itertools import count, cycle
from random import Random
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.progress import Progress

from bench.client import HTTP_BODY, JSON_ENCODING, TEXT, HttpClient, server
from bench.load import Hammer, hammer, http_answer, http_request

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_RATIO = 2.0
OTHERS = 32
CONNECTIONS = 64
SATURATING = 160
"""Connections that ask the one actor: 129 wait in it, the rest is shed."""
BACK_OFF = (0.05, 0.15)
"""Seconds after which a caller that was shed asks again: not all at once, as our client does it, too."""
SHED = b'"overloaded"'


class Paced(asyncio.Protocol):
    """Sends at given moments, whatever becomes of what it sent before; `taken` are seconds from such a moment to the answer."""

    def __init__(self, requests: Callable[[], bytes], first: float, interval: float, last: float) -> None:
        """Take what to send, the moment of the first (seconds of the loop), the time between two, and the end."""
        self.taken: list[float] = []
        self.fault: str | None = None
        self._requests = requests
        self._due, self._interval, self._last = first, interval, last
        self._sent: list[float] = []
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first moment."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._loop = asyncio.get_running_loop()
        self._loop.call_at(self._due, self._send)

    def _send(self) -> None:
        # The moment it should have been sent counts: a late client would otherwise hide a late server.
        self._sent.append(self._due)
        if len(self._sent) == 1:
            self.transport.write(self._requests())
        self._due += self._interval
        if self._due < self._last:
            self._loop.call_at(self._due, self._send)

    def data_received(self, data: bytes) -> None:
        """Note how long it took; send what came due meanwhile."""
        self._buffer += data
        while size := http_answer(self._buffer):
            self._buffer = self._buffer[size:]
            self.taken.append(self._loop.time() - self._sent.pop(0))
            if self._sent:
                self.transport.write(self._requests())

    def connection_lost(self, error: Exception | None) -> None:
        """A server under load must not hang up."""
        self.fault = f"connection lost: {error}"


class Saturating(asyncio.Protocol):
    """Asks again as soon as it is answered; after a pause when it was shed."""

    def __init__(self, request: bytes, chance: Random) -> None:
        """Take what is asked, and the chance of the pauses."""
        self.done = self.shed = 0
        self._chance = chance
        self._request = request
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Go on."""
        self._buffer += data
        # A refusal has another status; only its length is needed.
        whole = self._buffer.replace(b"HTTP/1.1 500", b"HTTP/1.1 200", 1)
        if not http_answer(whole):
            return
        shed = SHED in self._buffer
        self._buffer = b""
        self.shed += shed
        self.done += not shed
        asyncio.get_running_loop().call_later(self._chance.uniform(*BACK_OFF) if shed else 0, self._again)

    def _again(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(self._request)


def percentile(taken: list[float], share: float) -> float:
    """Of a list that need not be in order."""
    return sorted(taken)[min(len(taken) - 1, int(len(taken) * share))]


async def paced(url: str, requests: Callable[[], bytes], rate: float, seconds: float) -> list[float]:
    """Seconds that each of `rate` calls a second took.

    Raises:
        RuntimeError: A connection failed.
    """
    loop, parts = asyncio.get_running_loop(), urlsplit(url)
    start, interval, numbers = loop.time() + 0.2, CONNECTIONS / rate, count()
    protocols: list[Paced] = []
    for _ in range(CONNECTIONS):
        first = start + next(numbers) * interval / CONNECTIONS

        def make(first: float = first) -> Paced:
            return Paced(requests, first, interval, start + seconds)

        protocols.append((await loop.create_connection(make, parts.hostname or "", parts.port or 80))[1])
    await asyncio.sleep(start + seconds + 0.5 - loop.time())
    faults = [one.fault for one in protocols if one.fault]
    for one in protocols:
        one.transport.abort()
    if faults:
        raise RuntimeError(f"{len(faults)} of {CONNECTIONS} connections failed: {faults[0]}")
    return [taken for one in protocols for taken in one.taken]


async def measure(rounds: int, seconds: float, step: Callable[[], None]) -> dict[str, float]:
    """Every figure, by name; times in milliseconds."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        async with server("runtime", directory) as url:
            async with HttpClient(url) as client:
                ids = [await client.create(f"other-{number}") for number in range(OTHERS)]
                for actor_id in ids:
                    await client.act(actor_id)
                busy = await client.create("busy", "busy")
                await client.call("POST", f"/gateway/{busy}/action/work", b"{}", JSON_ENCODING)
            targets = [f"/gateway/{actor_id}/action/echo" for actor_id in ids]
            requests = cycle([http_request(url, target, HTTP_BODY, headers=JSON_ENCODING) for target in targets])
            capacity = await hammer(url, OTHERS, seconds, lambda: Hammer(next(requests), http_answer, TEXT.encode()))
            step()
            quiet, loud, done, shed = [], [], 0, 0
            for _ in range(rounds):
                quiet.append(await paced(url, lambda: next(requests), capacity / 2, seconds))
                step()
                work = http_request(url, f"/gateway/{busy}/action/work", b"{}", headers=JSON_ENCODING)
                saturating = await _saturate(url, work)
                loud.append(await paced(url, lambda: next(requests), capacity / 2, seconds))
                done, shed = done + sum(one.done for one in saturating), shed + sum(one.shed for one in saturating)
                for one in saturating:
                    one.transport.abort()
                await asyncio.sleep(2)  # until what waits in the actor is done
                step()
    pairs = [(percentile(before, 0.99) * 1000, percentile(under, 0.99) * 1000) for before, under in zip(quiet, loud, strict=True)]
    return {
        "capacity_per_second": capacity,
        "p50_ms": statistics.median(percentile(one, 0.5) * 1000 for one in quiet),
        "p50_overload_ms": statistics.median(percentile(one, 0.5) * 1000 for one in loud),
        "p99_ms": statistics.median(before for before, _ in pairs),
        "p99_overload_ms": statistics.median(under for _, under in pairs),
        "p99_ratio": statistics.median(under / before for before, under in pairs),
        "saturated_done": done,
        "saturated_shed": shed,
    }


async def _saturate(url: str, work: bytes) -> list[Saturating]:
    loop, parts = asyncio.get_running_loop(), urlsplit(url)
    chance = Random(1)  # noqa: S311 - of pauses
    protocols = [
        (await loop.create_connection(lambda: Saturating(work, chance), parts.hostname or "", parts.port or 80))[1]
        for _ in range(SATURATING)
    ]
    await asyncio.sleep(1)
    return protocols


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Pairs of rounds, without and with the overload.")] = 5,
    seconds: Annotated[float, typer.Option(help="Length of one round.")] = 4.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of sentences.")] = False,
) -> None:
    """While one actor is saturated and sheds calls, those to others take as long as before: status 1 if p99 is twice as long.

    The others are called at half of the measured capacity, at fixed moments. The saturated one has 160 callers, of which those that are
    shed (`actor/overloaded`) ask again after some 100 ms.
    """
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("measuring", total=2 * rounds + 1)
        figures = asyncio.run(measure(rounds, seconds, lambda: progress.advance(bar)))
    if as_json:
        typer.echo(json.dumps({name: round(value, 3) for name, value in figures.items()}))
    else:
        typer.echo(
            f"capacity {figures['capacity_per_second']:,.0f} calls/s; "
            f"at half of it p50 {figures['p50_ms']:.2f} ms, p99 {figures['p99_ms']:.2f} ms; "
            f"beside a saturated actor p50 {figures['p50_overload_ms']:.2f} ms, p99 {figures['p99_overload_ms']:.2f} ms: "
            f"{figures['p99_ratio']:.2f}x; it did {figures['saturated_done']:,} calls and shed {figures['saturated_shed']:,}"
        )
    if figures["p99_ratio"] >= MOST_RATIO or not figures["saturated_shed"]:
        raise typer.Exit(1)
