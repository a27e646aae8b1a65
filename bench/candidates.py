"""What could stand behind `serve()`: one ASGI server each; `python -m bench.candidates NAME actors|probe` prints its URL and serves.

Two applications: `actors` is the real one with an echo actor, for speed. `probe` tells what a server hands over, for the checks.
"""

from __future__ import annotations

import asyncio
import json
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from bench.servers import Echo, announce, free_port, serve_uvicorn
from runtime import NO_RATE_LIMITS, HostOptions, Registry, create_app

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

MESSAGE_LIMIT = 64 * 1024 * 1024

ended: list[dict[str, Any]] = []
"""How the probe's sockets ended, as the server told it."""


async def probe(scope: Any, receive: Any, send: Any) -> None:
    """Answers with what it was given: the scope of a request, the size of a message, the ends of earlier sockets at `/ended`."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "http":
        seen: Any = ended if scope["path"] == "/ended" else {"method": scope["method"], "path": scope["path"]}
        body = json.dumps(seen).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})
    else:
        await receive()
        await send({"type": "websocket.accept", "subprotocol": "rivet", "headers": [(b"x-probe", b"seen")]})
        while (message := await receive())["type"] == "websocket.receive":
            text = message.get("text")
            await send({"type": "websocket.send", "text": str(len(message["bytes"] if text is None else text))})
        ended.append({"code": message.get("code"), "reason": message.get("reason")})


_uvicorn = partial(
    serve_uvicorn, ws_max_size=MESSAGE_LIMIT, ws_ping_interval=None, lifespan="on", log_level="critical",
    server_header=False, date_header=False,
)  # fmt: skip


async def _ours(app: Any) -> None:
    from runtime import InProcessServer

    async with InProcessServer(app) as server:
        announce(server.url)
        await asyncio.Event().wait()


async def _hypercorn(app: Any) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    with free_port() as free:
        port = free.getsockname()[1]
    config = Config()
    config.bind, config.accesslog, config.errorlog = [f"127.0.0.1:{port}"], None, None
    config.websocket_max_message_size, config.include_server_header, config.include_date_header = MESSAGE_LIMIT, False, False
    announce(f"http://127.0.0.1:{port}")
    await serve(app, config)


async def _granian(app: Any) -> None:
    from granian.constants import Interfaces
    from granian.server.embed import Server

    with free_port() as free:
        port = free.getsockname()[1]
    announce(f"http://127.0.0.1:{port}")
    await Server(app, address="127.0.0.1", port=port, interface=Interfaces.ASGI, log_enabled=False).serve()


CANDIDATES: dict[str, Callable[[Any], Awaitable[None]]] = {
    "ours": _ours,
    "uvicorn, websockets-sansio": _uvicorn,
    "uvicorn, websockets": partial(_uvicorn, ws="websockets"),
    "uvicorn, wsproto": partial(_uvicorn, ws="wsproto"),
    "uvicorn, h11": partial(_uvicorn, http="h11"),
    "hypercorn": _hypercorn,
    "granian": _granian,
}
"""By name; with ` + uvloop` after it, on that loop. Daphne is none: it knows no lifespan, so the host would never start."""


def main() -> None:
    """Entry of the child process."""
    name, plus, _ = sys.argv[1].partition(" + ")
    app = probe if sys.argv[2] == "probe" else create_app(Registry(Echo), options=HostOptions(rate_limits=NO_RATE_LIMITS))
    serve = CANDIDATES[name](app)
    if plus:
        import uvloop

        uvloop.run(serve)
    else:
        asyncio.run(serve)


if __name__ == "__main__":
    main()
