"""`conform serve`: host the standard fixtures on the reference runtime."""

from __future__ import annotations

import json
import os
import sys
from enum import StrEnum
from typing import Annotated

import typer

from harness.targets.reference import serve_standard, serve_standard_on_engine


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
            help="bearer token of the operators' requests; without one, it is made for HOSTs other machines reach. With --engine: what "
            "the engine asks of its callers",
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
    engine: Annotated[
        str | None,
        typer.Option(metavar="URL", help="host them on this Rivet Engine instead of listening: the engine listens, and keeps their data"),
    ] = None,
    namespace: Annotated[str, typer.Option(metavar="NAME", help="with --engine: the namespace", envvar="RIVET_NAMESPACE")] = "default",
    pool: Annotated[
        str, typer.Option(metavar="NAME", help="with --engine: the pool that this process belongs to", envvar="RIVET_POOL_NAME")
    ] = "default",
    envoy_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="with --engine: what it knows this process by; by default one of its own")
    ] = None,
    deployment: Annotated[
        int,
        typer.Option(
            metavar="NUMBER", help="with --engine: new actors go to processes of the highest one", min=0, envvar="RIVET_ENVOY_VERSION"
        ),
    ] = 1,
    setup: Annotated[
        bool | None,
        typer.Option(
            "--setup/--no-setup",
            help="with --engine: make the namespace and configure the pool first [default: for engines on this machine]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Serve until interrupted; the first line on stdout is a JSON object with the endpoint, printed when it answers.

    Pages of elsewhere and names of elsewhere are let in only when they are allowed: a suite about them needs both as *.
    """
    if engine is not None:
        asked = token or os.environ.get("RIVET_TOKEN")
        serve_standard_on_engine(
            engine, namespace, pool, _on_engine, token=asked, envoy_key=envoy_key, deployment=deployment, set_up=setup
        )  # fmt: skip
        return

    def ready(url: str, token: str | None) -> None:
        pid = os.getpid()
        _say({"endpoint": url, "namespace": "default", "pool": "default", "storage": storage, "pid": pid, "token": token})

    serve_standard(
        host, port, storage, ready, synchronous=synchronous.value, token=token,
        proxies=trust_proxy or (), origins=tuple(allow_origin or ()), hosts=tuple(allow_host or ()),
    )  # fmt: skip


def _on_engine(url: str, namespace: str, pool: str, token: str | None, envoy_key: str) -> None:
    _say({"endpoint": url, "namespace": namespace, "pool": pool, "token": token, "pid": os.getpid(), "envoy": envoy_key})


def _say(line: dict[str, str | int | None]) -> None:
    # By hand and flushed: whoever started this reads one line from a pipe, and a console might fold or colour it.
    sys.stdout.write(json.dumps({name: value for name, value in line.items() if value is not None}) + "\n")
    sys.stdout.flush()
