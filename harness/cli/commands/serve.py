"""`conform serve`: host the standard fixtures on the reference runtime."""

from __future__ import annotations

import json
import os
import sys
from enum import StrEnum
from typing import Annotated

import typer

from harness.targets.reference import serve_standard


class Synchronous(StrEnum):
    """`synchronous` of SQLite, by the names of `runtime.SQLiteStorage`."""

    NORMAL = "normal"
    FULL = "full"
    OFF = "off"


def command(
    host: Annotated[str, typer.Option(metavar="HOST", help="interface to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="PORT", help="port; 0 picks a free one")] = 6420,
    storage: Annotated[str, typer.Option(metavar="STORAGE", help="memory, or a directory for durable data")] = "memory",
    synchronous: Annotated[
        Synchronous,
        typer.Option(
            metavar="MODE",
            help="what a directory keeps when the machine loses power: normal may miss the last moments, full misses nothing",
        ),
    ] = Synchronous.NORMAL,
    token: Annotated[
        str | None,
        typer.Option(
            metavar="TOKEN",
            help="bearer token of the operators' requests; without one, it is made for HOSTs other machines reach",
            envvar="CONFORM_SERVE_TOKEN",
        ),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(metavar="ORIGIN", help="let pages of this origin in, * for every page; may be repeated"),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="answer to this name, too, * for any; may be repeated"),
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
    """Serve until interrupted; the first line on stdout is a JSON object with the endpoint, printed when it answers.

    Pages of elsewhere and names of elsewhere are let in only when they are allowed: a suite about them needs both as *.
    """

    def ready(url: str, token: str | None) -> None:
        line: dict[str, str | int] = {"endpoint": url, "namespace": "default", "pool": "default", "storage": storage, "pid": os.getpid()}
        if token is not None:
            line["token"] = token
        # By hand and flushed: whoever started this reads one line from a pipe, and a console might fold or colour it.
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()

    serve_standard(
        host, port, storage, ready, synchronous=synchronous.value, token=token,
        proxies=trust_proxy or (), origins=tuple(allow_origin or ()), hosts=tuple(allow_host or ()),
    )  # fmt: skip
