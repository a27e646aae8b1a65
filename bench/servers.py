"""The servers under load; run as `python -m bench.servers echo|runtime|strangers STORAGE`, prints its URL and serves until killed."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

import uvicorn

from runtime import NO_RATE_LIMITS, Actor, Context, HostOptions, Registry, action, run
from runtime.actor.database.provider import RawDatabase

if TYPE_CHECKING:
    from runtime.actor.database.client import DatabaseClient
    from runtime.actor.database.session import DatabaseSession


class Echo(Actor):
    """Answers with its argument."""

    name = "echo"

    @action
    def echo(self, c: Any, value: object) -> object:
        """The argument."""
        return value


class SlowDatabase(RawDatabase):
    """Waits in SQL, as for a slow disk: it takes time on its thread and no processor, of which the others would have less then."""

    def create_client(self, session: DatabaseSession) -> DatabaseClient:
        """With a function `pause(seconds)`."""
        session.submit(lambda connection: connection.create_function("pause", 1, time.sleep))
        return super().create_client(session)


class Busy(Actor):
    """More than 128 statements that wait are refused with `actor/overloaded` (DB-323)."""

    name = "busy"
    database = SlowDatabase(None, warn_on_manual_transactions=True)

    @action
    async def work(self, c: Context) -> None:
        """Ten milliseconds of waiting."""
        await c.db.execute("SELECT pause(0.01)")


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


def free_port() -> socket.socket:
    """A socket bound to a port that nobody has; TCP is named, or asyncio leaves Nagle's algorithm on."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    return listener


async def serve_uvicorn(application: Any, **settings: Any) -> None:
    """Serve with uvicorn's fast implementations, but for what `settings` of its `Config` say."""
    listener = free_port()
    fast = {"http": "httptools", "ws": "websockets-sansio", "ws_per_message_deflate": False}
    plain = {"access_log": False, "proxy_headers": False, "backlog": 2048}
    announce(f"http://127.0.0.1:{listener.getsockname()[1]}")
    await uvicorn.Server(uvicorn.Config(application, **(fast | plain | settings))).serve([listener])


def announce(url: str) -> None:
    """Tell the parent process where this server answers."""
    sys.stdout.write(url + "\n")
    sys.stdout.flush()


def main() -> None:
    """Entry of the child process."""
    if sys.argv[1] == "echo":
        asyncio.run(serve_uvicorn(bare_echo, lifespan="off", log_level="warning"))
    elif sys.argv[1] == "strangers":
        run(Registry(Echo), port=0, storage=sys.argv[2], on_ready=announce)
    else:
        options = HostOptions(rate_limits=NO_RATE_LIMITS)  # the load comes from one address
        run(Registry(Echo, Busy), port=0, storage=sys.argv[2], options=options, on_ready=announce)


if __name__ == "__main__":
    main()
