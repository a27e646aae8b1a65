"""`python -m bench`: the four figures of the runtime, in one run; `overload`, `flood` and `databases` are commands of their own."""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench import databases, flood, overload
from bench.client import HTTP_BODY, JSON_ENCODING, TEXT, HttpClient, server
from bench.load import Hammer, frame_answer, hammer, http_answer, http_request, text_frame, upgrade_request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

WS_BODY = json.dumps({"body": {"tag": "ActionRequest", "val": {"id": 1, "name": "echo", "args": [TEXT]}}}).encode()
SETTLE = 0.05

app = typer.Typer(add_completion=False)


async def ratio(
    runtime: str, echo: str, rounds: int, measure: Callable[[str], Awaitable[float]], step: Callable[[], None]
) -> tuple[float, float, float]:
    """Median rates of runtime and echo, and the median of the ratios of neighbouring rounds."""
    pairs = []
    for _ in range(rounds):
        pairs.append((await measure(runtime), await measure(echo)))
        step()
    ours, bare = zip(*pairs, strict=True)
    return statistics.median(ours), statistics.median(bare), statistics.median(a / b for a, b in pairs)


async def creations(url: str, count: int, concurrency: int) -> float:
    """Actors created and called once, per second."""
    todo = iter(range(count))

    async def worker() -> None:
        async with HttpClient(url) as client:
            for number in todo:
                await client.act(await client.create(f"created-{number}"))

    loop = asyncio.get_running_loop()
    started = loop.time()
    await asyncio.gather(*(worker() for _ in range(concurrency)))
    return count / (loop.time() - started)


async def wakes(url: str, count: int) -> list[float]:
    """Milliseconds from sending an action to a sleeping actor to its answer."""
    loop = asyncio.get_running_loop()
    taken = []
    async with HttpClient(url) as client:
        actor_id = await client.create("woken")
        await client.act(actor_id)
        for _ in range(count):
            await client.call("POST", f"/actors/{actor_id}/sleep?namespace=default", b"{}")
            await asyncio.sleep(SETTLE)
            started = loop.time()
            await client.act(actor_id)
            taken.append((loop.time() - started) * 1000)
    return taken


async def measure_all(storage: str, rounds: int, seconds: float, connections: int, step: Callable[[], None]) -> dict[str, float]:
    """Every figure, by name."""
    async with server("runtime", storage) as runtime, server("echo", storage) as echo:
        async with HttpClient(runtime) as client:
            actor_id = await client.create("bench")
            await client.act(actor_id)
        path = f"/gateway/{actor_id}"

        async def over_http(url: str) -> float:
            request = http_request(url, f"{path}/action/echo", HTTP_BODY, headers=JSON_ENCODING)
            return await hammer(url, connections, seconds, lambda: Hammer(request, http_answer, TEXT.encode()))

        async def over_websocket(url: str) -> float:
            # An error would carry no argument back: the text in the answer shows that the action ran.
            frame, opening = text_frame(WS_BODY), upgrade_request(url, f"{path}/connect")
            return await hammer(
                url, connections, seconds, lambda: Hammer(frame, frame_answer, TEXT.encode(), opening, greeting=url == runtime)
            )

        http = await ratio(runtime, echo, rounds, over_http, step)
        socket = await ratio(runtime, echo, rounds, over_websocket, step)
        created = await creations(runtime, 2000, connections)
        step()
        taken = sorted(await wakes(runtime, 60))
        step()
    return {
        "http_per_second": http[0], "http_bare_per_second": http[1], "http_ratio": http[2],
        "websocket_per_second": socket[0], "websocket_bare_per_second": socket[1], "websocket_ratio": socket[2],
        "creations_per_second": created,
        "wake_median_ms": statistics.median(taken), "wake_p95_ms": taken[int(len(taken) * 0.95)],
    }  # fmt: skip


def table(figures: dict[str, float]) -> Table:
    """The figures for people."""
    shown = Table(title="Reference runtime")
    for column in ("figure", "runtime", "bare uvicorn echo", "ratio"):
        shown.add_column(column, justify="left" if column == "figure" else "right")
    for name, label in (("http", "HTTP actions per second"), ("websocket", "WebSocket actions per second")):
        ours, bare, share = (figures[f"{name}_{part}"] for part in ("per_second", "bare_per_second", "ratio"))
        shown.add_row(label, f"{ours:,.0f}", f"{bare:,.0f}", f"{share:.2f}")
    shown.add_row("actors created and called once per second", f"{figures['creations_per_second']:,.0f}", "", "")
    shown.add_row("wake latency, median (ms)", f"{figures['wake_median_ms']:.2f}", "", "")
    shown.add_row("wake latency, 95th percentile (ms)", f"{figures['wake_p95_ms']:.2f}", "", "")
    return shown


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    rounds: Annotated[int, typer.Option(help="Interleaved rounds per throughput figure.")] = 5,
    seconds: Annotated[float, typer.Option(help="Length of one round.")] = 2.0,
    connections: Annotated[int, typer.Option(help="Concurrent connections.")] = 32,
    storage: Annotated[str, typer.Option(help="'memory', or a directory; a temporary one by default.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Measure HTTP and WebSocket action throughput, actor creation and wake latency."""
    if context.invoked_subcommand is not None:
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("measuring", total=2 * rounds + 2)
        figures = asyncio.run(measure_all(storage or directory, rounds, seconds, connections, lambda: progress.advance(bar)))
    if as_json:
        typer.echo(json.dumps({name: round(value, 3) for name, value in figures.items()}))
    else:
        Console().print(table(figures))


app.command("overload")(overload.main)
app.command("flood")(flood.main)
app.command("databases")(databases.main)

if __name__ == "__main__":
    app()
