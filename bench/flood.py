"""`python -m bench flood`: 10,000 sockets from one address, and somebody else who goes on being answered."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import tempfile
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from bench.client import HttpClient, process
from bench.flooder import KINDS
from tests.serving.bystander import LIMIT, Bystander
from tests.serving.memory import resident

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

HELD = 3.0
"""Seconds for which the sockets stay when all are open."""


def memory(pid: int) -> float:
    """MiB of the resident memory of a process."""
    return resident(pid) / 2**20


@asynccontextmanager
async def flooder(url: str, kind: str, sockets: int, path: str) -> AsyncIterator[dict[str, Any]]:
    """A flood in a process of its own; what it said when all its sockets were open, and at its end."""
    arguments = ("-m", "bench.flooder", url, kind, str(sockets), path)
    child = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdin is not None
    told = json.loads(await child.stdout.readline())
    try:
        yield told
    finally:
        child.stdin.close()
        told |= {f"{name}_at_the_end": value for name, value in json.loads(await child.stdout.readline()).items()}
        await child.wait()


async def measure(kind: str, sockets: int) -> dict[str, Any]:
    """One flood of one kind; times in milliseconds, memory in MiB."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        async with process("bench.servers", "strangers", directory) as (pid, url):
            async with HttpClient(url) as client:
                actor_id = await client.create("flooded")
                await client.act(actor_id)
            before, beside = memory(pid), Bystander(url, pid)
            beside.start()
            async with flooder(url, kind, sockets, f"/gateway/{actor_id}/connect") as told:
                await asyncio.sleep(HELD)
                during = memory(pid)
            await asyncio.sleep(1)
            await asyncio.to_thread(beside.stop)
            after = memory(pid)
            async with HttpClient(url) as client:
                await client.act(actor_id)
    return {
        "kind": kind, "opened": told["opened"], "refused": told["refused"], "seconds": round(told["seconds"], 1),
        "alive": told["alive_at_the_end"], "websockets": told["accepted_at_the_end"], "bystander_p100_ms": round(beside.worst * 1000, 1),
        "bystander": beside.fault or beside.figures, "memory_before": round(before), "memory_during": round(during),
        "memory_after": round(after), "answering": beside.fault is None and beside.worst <= LIMIT,
    }  # fmt: skip


async def measure_all(sockets: int, step: Callable[[], None]) -> list[dict[str, Any]]:
    """A flood of each kind, each on a server of its own."""
    found = []
    for kind in KINDS:
        found.append(await measure(kind, sockets))
        step()
    return found


def main(
    sockets: Annotated[int, typer.Option(min=1, help="How many at a time.")] = 10_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per kind instead of sentences.")] = False,
) -> None:
    """Flood a server that has the default limits with sockets from one address; status 1 if somebody else waits longer than 100 ms.

    Sockets that say nothing, that say half a request, and WebSockets to one actor. Server and flood are processes of their own; each needs
    as many file descriptors as there are sockets (`ulimit -n`).
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < sockets + 100:
        typer.echo(f"a process may have {most} files here (ulimit -Hn), and this needs {sockets + 100}")
        raise typer.Exit(2)
    # The server inherits it.
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("flooding", total=len(KINDS))
        found = asyncio.run(measure_all(sockets, lambda: progress.advance(bar)))
    for one in found:
        if as_json:
            typer.echo(json.dumps(one))
            continue
        typer.echo(
            f"{one['kind']}: {one['opened']:,} opened and {one['refused']:,} refused in {one['seconds']} s, "
            f"{one['alive']:,} alive at the end "
            f"({one['websockets']:,} WebSockets); {one['bystander']}; memory {one['memory_before']}, {one['memory_during']}, "
            f"{one['memory_after']} MiB before, during, after"
        )
    if not all(one["answering"] for one in found):
        raise typer.Exit(1)
