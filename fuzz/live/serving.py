"""The server under fire: `python -m fuzz.live.serving REPORT LOG STORAGE`. At its end it writes how long its loop was held."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, ClassVar

from fuzz.live.beats import Pulse
from runtime import Actor, Context, Event, HostOptions, Options, Queue, RateLimits, Registry, Request, Response, UserError, action, run
from runtime.protocol.storable import Unstorable, check_storable


def fitting(args: tuple[Any, ...]) -> list[Any]:
    """The arguments. Those that are no results are refused as a careful actor would: a failure of its code is logged, with reason."""
    try:
        check_storable(list(args))
    except Unstorable as error:
        raise UserError("these arguments cannot be given back", code="unfit") from error
    return list(args)


class Fuzzed(Actor):
    """Takes everything."""

    name = "fuzzed"
    options = Options(sleep_timeout=1.0)
    state: ClassVar = {"kept": None}
    events: ClassVar = {"said": Event()}
    queues: ClassVar = {"work": Queue()}

    async def run(self, c: Context) -> None:
        """Complete what is sent to the queue: senders may wait for it as long as they like."""
        while True:
            message = await c.queue.next(["work"], completable=True)
            if message is not None:
                await message.complete(message.body)

    @action
    def echo(self, c: Context, *args: Any) -> list[Any]:
        """The arguments."""
        return fitting(args)

    @action
    def keep(self, c: Context, *args: Any) -> None:
        """The last arguments of all."""
        c.state = {"kept": fitting(args)}

    @action
    def say(self, c: Context, *args: Any) -> None:
        """To everybody."""
        c.broadcast("said", *fitting(args))

    def on_request(self, c: Context, request: Request) -> Response:
        """The body, and that one more header was read."""
        return Response(request.body or b"", headers={"x-method": request.method[:40]} if request.method.isalpha() else {})

    def on_web_socket(self, c: Context, socket: Any) -> None:
        """Every message back."""
        socket.on_message = lambda message: socket.send(message.data)


def main(report: Path, storage: str) -> None:
    """Serve until a signal, then tell how long the loop was held."""
    # Nobody's requests are counted here: they all come from one address. What else is limited by default is limited here.
    # Nor are names and pages turned away at the door: what is behind it is what the input is for.
    options = HostOptions(
        rate_limits=RateLimits(requests=None),
        inspector_token="token",  # noqa: S106 - of nothing but this server
        allow_origins=("*",),
        allow_hosts=("*",),
    )
    pulse, beating = Pulse(), list[asyncio.Task[None]]()

    def ready(url: str) -> None:
        sys.stdout.write(json.dumps({"endpoint": url}) + "\n")
        sys.stdout.flush()
        # What a server does before it is heard holds nobody up.
        beating.append(asyncio.get_running_loop().create_task(pulse.run()))

    run(Registry(Fuzzed), port=0, storage=storage, options=options, on_ready=ready)
    report.write_text(json.dumps(pulse.report()), encoding="utf-8")


if __name__ == "__main__":
    with Path(sys.argv[2]).open("w", encoding="utf-8") as sys.stderr:
        main(Path(sys.argv[1]), sys.argv[3])
