"""`python -m bench.compare`: the servers that could stand behind `serve()`, by what they hand over, what they withstand, and speed.

Speed is given per second and as CPU microseconds of the server process per action: the second hardly depends on what else a machine does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import struct
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer
from rich.console import Console

from bench.__main__ import WS_BODY
from bench.candidates import CANDIDATES
from bench.client import HTTP_BODY, JSON_ENCODING, TEXT, HttpClient, process
from bench.load import Hammer, frame_answer, hammer, http_answer, http_request, text_frame, upgrade_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

PATIENCE = 3.0
START = 10.0
TICKS = os.sysconf("SC_CLK_TCK")
BOMB_STEP, BOMB = 64 * 1024, 8 * 1024 * 1024
FLOOD_PING = b"\x89\x80\0\0\0\0"
FLOOD_FRAGMENT = b"\x00\x80\0\0\0\0"
FIRST_FRAGMENT = b"\x01\x80\0\0\0\0"

ON_UVLOOP = tuple(f"{name} + uvloop" for name in ("ours", "uvicorn, websockets-sansio", "granian"))


@asynccontextmanager
async def candidate(name: str, app: str) -> AsyncIterator[tuple[str, int]]:
    """One server process; its URL and process id."""
    async with process("bench.candidates", name, app, quiet=True) as (pid, url):
        await _listening(url)
        yield url, pid


async def _listening(url: str) -> None:
    # Some candidates bind their port themselves, after they gave its number.
    deadline = asyncio.get_running_loop().time() + START
    while True:
        try:
            async with Wire(url):
                return
        except OSError:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.05)


class Wire:
    """One TCP connection to a candidate, as bytes."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port, self._url = parts.hostname or "", parts.port or 80, url

    async def __aenter__(self) -> Wire:
        self.reader, self.writer = await asyncio.open_connection(self._host, self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()

    async def head(self, data: bytes) -> str:
        """Send, and read the head of the answer; empty when the server closes without one, `-` when it stays silent."""
        self.writer.write(data)
        try:
            async with asyncio.timeout(PATIENCE):
                return (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except TimeoutError:
            return "-"
        except (asyncio.IncompleteReadError, OSError):
            return ""

    async def upgraded(self) -> str:
        """Become a WebSocket; the head of the answer."""
        return await self.head(upgrade_request(self._url, "/probe"))


async def ask(url: str, request: bytes) -> object:
    """The JSON of an answer, None without one."""
    async with Wire(url) as wire:
        head = await wire.head(request)
        if " 200" not in head.partition("\r\n")[0]:
            return None
        at = head.lower().index("content-length:") + 15
        return json.loads(await wire.reader.readexactly(int(head[at : head.index("\r\n", at)])))


async def ending(url: str, leave: Callable[[Wire], None]) -> object:
    """What the application is told of a socket that ends like this."""
    async with Wire(url) as wire:
        await wire.upgraded()
        leave(wire)
        await asyncio.sleep(0.3)
    seen = await ask(url, http_request(url, "/ended", b"", "GET"))
    return seen[-1] if isinstance(seen, list) and seen else None


async def pauses(url: str, first: bytes, frame: bytes, count: int) -> str:
    """Milliseconds that the slowest of a bystander's requests took while one client sends `count` such frames at once."""
    loop = asyncio.get_running_loop()
    slowest = 0.0
    async with Wire(url) as wire, HttpClient(url) as bystander:
        await wire.upgraded()
        wire.writer.write(first + frame * count)
        until = loop.time() + PATIENCE
        while loop.time() < until:
            began = loop.time()
            await bystander.call("GET", "/", b"")
            slowest = max(slowest, loop.time() - began)
            await asyncio.sleep(0.001)
    return f"{slowest * 1000:.0f}"


async def head_taken(url: str) -> str:
    """How many bytes of one unfinished head are taken."""
    sent = 0
    async with Wire(url) as wire:
        wire.writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n")
        with contextlib.suppress(OSError):
            async with asyncio.timeout(PATIENCE):
                while sent < BOMB and not wire.reader.at_eof():
                    wire.writer.write(b"x-%d: " % sent + b"a" * BOMB_STEP + b"\r\n")
                    await wire.writer.drain()
                    sent += BOMB_STEP
                    await asyncio.sleep(0.002)
    return "all of 8 MiB" if sent >= BOMB else f"{sent // 1024} KiB"


async def checked(name: str) -> dict[str, str]:
    """`checks` of a candidate."""
    async with candidate(name, "probe") as (url, _):
        return await checks(url)


def close_frame(body: bytes) -> bytes:
    """A masked close frame with a mask of zeros."""
    return bytes((0x88, 0x80 | len(body))) + b"\0\0\0\0" + body


async def handshake(url: str) -> str:
    """Whether the application's headers are on the 101."""
    async with Wire(url) as wire:
        return yes("x-probe: seen" in (await wire.upgraded()).lower())


async def large_message(url: str) -> str:
    """Whether the largest message of the protocol arrives."""
    size = 32 * 1024 * 1024
    async with Wire(url) as wire:
        await wire.upgraded()
        wire.writer.write(b"\x82\xff" + struct.pack("!Q", size) + b"\0\0\0\0" + bytes(size))
        async with asyncio.timeout(PATIENCE):
            return yes(await wire.reader.readexactly(10) == b"\x81\x08" + str(size).encode())


async def close_told(url: str) -> str:
    """What the application hears of a close with code 4001 and a reason."""
    close = await ending(url, lambda wire: wire.writer.write(close_frame(struct.pack("!H", 4001) + b"bye")))
    return str(tuple(close.values())) if isinstance(close, dict) else "nothing"


async def lost_told(url: str) -> str:
    """Whether a client that vanished differs from one that left without a code."""
    empty = await ending(url, lambda wire: wire.writer.write(close_frame(b"")))
    return yes(empty != await ending(url, lambda wire: wire.writer.transport.abort()))


async def scope_told(url: str, request: bytes, key: str, expected: str) -> str:
    """Whether a request reaches the application, and with this value."""
    seen = await ask(url, request)
    return yes(isinstance(seen, dict) and seen[key] == expected)


async def long_upgrade(url: str) -> str:
    """What answers an upgrade with a header of 9 kB."""
    async with Wire(url) as wire:
        long = upgrade_request(url, "/probe").replace(b"rivet_encoding.json", b"rivet_encoding.json, " + b"a" * 9000)
        return {"-": "silence", "": "closed"}.get(answer := await wire.head(long), answer[9:12])


def yes(fact: bool) -> str:
    """As a cell of the table."""
    return "yes" if fact else "no"


async def checks(url: str) -> dict[str, str]:
    """What a server hands over and withstands; `failed` where it left the question without an answer."""
    questions: dict[str, Awaitable[str]] = {
        "headers of the 101": handshake(url),
        "32 MiB message": large_message(url),
        "close code, reason": close_told(url),
        "lost is not left": lost_told(url),
        "custom method": scope_told(url, http_request(url, "/", b"", "PURGE"), "method", "PURGE"),
        "target `//a`": scope_told(url, http_request(url, "//a", b"", "GET"), "path", "//a"),
        "absolute target": scope_told(url, f"GET {url}/a HTTP/1.1\r\nhost: x\r\n\r\n".encode(), "path", "/a"),
        "9 kB upgrade header": long_upgrade(url),
        "unfinished head": head_taken(url),
        "100,000 pings (ms)": pauses(url, b"", FLOOD_PING, 100_000),
        "200,000 empty fragments (ms)": pauses(url, FIRST_FRAGMENT, FLOOD_FRAGMENT, 200_000),
    }
    found = {}
    for name, question in questions.items():
        try:
            found[name] = await question
        except (OSError, ValueError, asyncio.IncompleteReadError):  # a timeout is an `OSError`, too
            found[name] = "failed"
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time of a process so far, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def speed(name: str, seconds: float, connections: int) -> dict[str, float]:
    """Actions per second, and CPU microseconds of the server for one."""
    figures: dict[str, float] = {}
    async with candidate(name, "actors") as (url, pid):
        async with HttpClient(url) as client:
            actor_id = await client.create("bench")
            await client.act(actor_id)
        request = http_request(url, f"/gateway/{actor_id}/action/echo", HTTP_BODY, headers=JSON_ENCODING)
        frame, opening = text_frame(WS_BODY), upgrade_request(url, f"/gateway/{actor_id}/connect")
        loads: dict[str, Callable[[], Hammer]] = {
            "HTTP": lambda: Hammer(request, http_answer, TEXT.encode()),
            "WebSocket": lambda: Hammer(frame, frame_answer, TEXT.encode(), opening, greeting=True),
        }
        for kind, make in loads.items():
            # The warm-up counts for the CPU as well: a fifth of all actions, so the time is divided by what was answered within both.
            before = cpu_seconds(pid)
            rate = await hammer(url, connections, seconds, make)
            figures[f"{kind} per second"] = rate
            figures[f"{kind} CPU us"] = (cpu_seconds(pid) - before) / (rate * seconds * 1.25) * 1e6
    return figures


async def compare(names: list[str], rounds: int, seconds: float, connections: int, say: Callable[[str], None]) -> dict[str, dict[str, str]]:
    """Every candidate's row."""
    rows: dict[str, dict[str, str]] = {}
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}

    async def tried(name: str, work: Awaitable[object]) -> object:
        try:
            return await work
        except (RuntimeError, ValueError, OSError, asyncio.IncompleteReadError) as error:
            say(f"{name}: {error}")
            return None

    for number in range(rounds):
        for name in names:
            say(f"round {number + 1} of {rounds}: {name}")
            if isinstance(figures := await tried(name, speed(name, seconds, connections)), dict):
                runs[name].append(figures)
    for name in names:
        rows[name] = {key: f"{statistics.median(run[key] for run in runs[name]):,.0f}" for key in (runs[name] or [{}])[0]}
        if not name.endswith("uvloop"):
            say(f"checks: {name}")
            if isinstance(found := await tried(name, checked(name)), dict):
                rows[name] |= found
    return rows


def markdown(rows: dict[str, dict[str, str]]) -> str:
    """One table, a column for each candidate."""
    keys = list(dict.fromkeys(key for row in rows.values() for key in row))
    lines = ["| | " + " | ".join(rows) + " |", "|---" * (len(rows) + 1) + "|"]
    lines += ["| " + " | ".join([key, *(row.get(key, "") for row in rows.values())]) + " |" for key in keys]
    return "\n".join(lines)


def main(
    only: Annotated[list[str] | None, typer.Option(help="A candidate by its name; all by default. Repeatable.")] = None,
    rounds: Annotated[int, typer.Option(help="Interleaved rounds of the speeds.")] = 3,
    seconds: Annotated[float, typer.Option(help="Length of one round.")] = 2.0,
    connections: Annotated[int, typer.Option(help="Concurrent connections.")] = 32,
) -> None:
    """Compare ASGI servers; needs `pip install --group servers`."""
    say = Console(stderr=True).print
    names = only or [*CANDIDATES, *ON_UVLOOP]
    typer.echo(markdown(asyncio.run(compare(names, rounds, seconds, connections, say))))


if __name__ == "__main__":
    typer.run(main)
