"""A program that serves actors and does nothing else: from its start to the signal that ends it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog

from runtime.serving.application import create_app
from runtime.serving.engine import EngineAddress, serve_engine
from runtime.serving.event_loop import run_program, say, signals
from runtime.serving.in_process import InProcessServer
from runtime.serving.limits import DEFAULT_LIMITS, ServerLimits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from runtime.declaration.registry import Registry
    from runtime.hosting.options import HostOptions
    from runtime.storage.base import Storage

log = structlog.get_logger(__name__)

DEFAULT_PORT = 6420


async def serve(
    registry: Registry,
    *,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    storage: str | Path | Storage | None = None,
    options: HostOptions | None = None,
    limits: ServerLimits = DEFAULT_LIMITS,
    on_ready: Callable[[str], None] | None = None,
    on_token: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, then stop every actor gracefully (STOP-034). Who is served is said on standard error.

    A second signal ends the process at once, and as the signal does: actors are left as a crash leaves them (STOP-035).

    Args:
        registry: The actors to host.
        host: What to listen on. Only this machine reaches loopback, the default; for all others operators need a token (WIRE-032).
        port: 0 picks a free one.
        storage: `"memory"`, a directory for SQLite files, or a `Storage`; `SQLiteStorage(directory, synchronous="full")` also outlives a
            power cut.
        options: See `HostOptions`: `admin_token`, and which pages and names are let in.
        limits: See `ServerLimits`.
        on_ready: Gets the URL once traffic is accepted.
        on_token: Gets the token of the operators before that, if one had to be made; otherwise it is said on standard error, once.

    Raises:
        OSError: The address is taken.
        RuntimeError: The storage could not be opened.
        ValueError: Test mode for other machines, or an allowed origin or host that is none.
    """
    async with InProcessServer(create_app(registry, storage=storage, options=options), host=host, port=port, limits=limits) as server:
        with signals() as stop:
            log.info("serving actors", url=server.url, actors=len(registry))
            if server.token is not None and on_token is not None:
                on_token(server.token)
            say(announcement(server.url, len(registry), local=server.is_local, token=None if on_token else server.token))
            if on_ready is not None:
                on_ready(server.url)
            await stop.wait()


def announcement(url: str, actors: int, *, local: bool, token: str | None) -> str:
    """Whom a server serves, in a line; `token` is one that was made, and known to nobody yet."""
    said = f"Serving {actors} {'actor' if actors == 1 else 'actors'} on {url}, for "
    if local:
        return said + "this machine alone."
    said += "every machine that can reach it. Operators need the token"
    return f"{said} {token} (made for this run)." if token else f"{said} of this server."


def run(
    registry: Registry,
    *,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    storage: str | Path | Storage | None = None,
    options: HostOptions | None = None,
    limits: ServerLimits = DEFAULT_LIMITS,
    on_ready: Callable[[str], None] | None = None,
    on_token: Callable[[str], None] | None = None,
    engine: EngineAddress | str | None = None,
    namespace: str | None = None,
    pool: str | None = None,
    token: str | None = None,
) -> None:
    """`serve` for a program that does nothing else; blocks until a signal. Runs on uvloop where it is installed.

    With `engine`, the URL of a Rivet Engine or an `EngineAddress`, it is `serve_engine`: the actors live there, and `namespace`, `pool` and
    `token` say where. The engine stores and listens, so arguments about that are refused.
    """
    place: dict[str, Any] = {
        name: value for name, value in (("namespace", namespace), ("pool", pool), ("token", token)) if value is not None
    }
    if engine is None:
        if place:
            raise ValueError(f"`{next(iter(place))}` is about an engine, and there is none")
        program = serve(
            registry, host=host, port=port, storage=storage, options=options, limits=limits, on_ready=on_ready, on_token=on_token
        )  # fmt: skip
    else:
        if storage is not None or on_token is not None or (host, port) != ("127.0.0.1", DEFAULT_PORT):
            raise ValueError("the engine stores and listens: `storage`, `host`, `port` and `on_token` are not for actors on one")
        address = replace(EngineAddress(engine) if isinstance(engine, str) else engine, **place)
        ready = None if on_ready is None else lambda found: on_ready(found.url)
        program = serve_engine(registry, address, options=options, on_ready=ready)
    run_program(program)
