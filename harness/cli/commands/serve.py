"""`conform serve`: host the standard fixtures on the reference runtime."""

from __future__ import annotations

import json
import os
import sys
from typing import Annotated

import typer

from harness.targets.reference import serve_standard


def command(
    host: Annotated[str, typer.Option(metavar="HOST", help="interface to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="PORT", help="port; 0 picks a free one")] = 6420,
    storage: Annotated[str, typer.Option(metavar="STORAGE", help="memory, or a directory for durable data")] = "memory",
    token: Annotated[
        str | None,
        typer.Option(metavar="TOKEN", help="bearer token of the operators' requests; none by default", envvar="CONFORM_SERVE_TOKEN"),
    ] = None,
    trust_proxy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS",
            help="address or network of a reverse proxy, or `unix`; the clients that it names in X-Forwarded-For or Forwarded are "
            "rate limited, each by itself (may be repeated; without one nobody is limited)",
        ),
    ] = None,
) -> None:
    """Serve until interrupted; the first line on stdout is a JSON object with the endpoint, printed when it answers."""

    def ready(url: str) -> None:
        line: dict[str, str | int] = {"endpoint": url, "namespace": "default", "pool": "default", "storage": storage, "pid": os.getpid()}
        if token is not None:
            line["token"] = token
        # By hand and flushed: whoever started this reads one line from a pipe, and a console might fold or colour it.
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()

    serve_standard(host, port, storage, ready, token, trust_proxy or ())
