"""The two servers under load; run as `python -m bench.servers echo|runtime STORAGE`, prints its URL and serves until killed."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Any

import uvicorn

from runtime import NO_RATE_LIMITS, Actor, HostOptions, Registry, action, run


class Echo(Actor):
    """Answers with its argument."""

    name = "echo"

    @action
    def echo(self, c: Any, value: object) -> object:
        """The argument."""
        return value


async def bare_echo(scope: Any, receive: Any, send: Any) -> None:
    """The least an ASGI application can do with a request or a message."""
    if scope["type"] == "http":
        body = (await receive())["body"]
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept", "subprotocol": "rivet"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})


async def serve_echo() -> None:
    """Serve `bare_echo` with uvicorn's fast implementations."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # named, or asyncio leaves Nagle's algorithm on
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        bare_echo, http="httptools", ws="websockets-sansio", ws_per_message_deflate=False, lifespan="off", log_level="warning",
        access_log=False, proxy_headers=False, backlog=2048,
    )  # fmt: skip
    announce(f"http://127.0.0.1:{listener.getsockname()[1]}")
    await uvicorn.Server(config).serve([listener])


def announce(url: str) -> None:
    """Tell the parent process where this server answers."""
    sys.stdout.write(url + "\n")
    sys.stdout.flush()


def main() -> None:
    """Entry of the child process."""
    if sys.argv[1] == "echo":
        asyncio.run(serve_echo())
    else:
        options = HostOptions(rate_limits=NO_RATE_LIMITS)  # the load comes from one address
        run(Registry(Echo), port=0, storage=sys.argv[2], options=options, on_ready=announce)


if __name__ == "__main__":
    main()
