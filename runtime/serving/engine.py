"""A program that hosts actors on a Rivet Engine: from its first word to the engine to the signal that ends it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog

from runtime import logs
from runtime.hosting.engine import setup
from runtime.hosting.options import HostOptions
from runtime.hosting.standalone.listener.doors import is_loopback
from runtime.serving.event_loop import say, signals

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from runtime.declaration.registry import Registry
    from runtime.hosting.engine.host import EngineHost

log = structlog.get_logger(__name__)

VARIABLES = {
    "RIVET_ENDPOINT": "url", "RIVET_NAMESPACE": "namespace", "RIVET_POOL_NAME": "pool", "RIVET_TOKEN": "token",
    "RIVET_ENVOY_VERSION": "version",
}  # fmt: skip
EXTRA = "to host actors on an engine, install the extra `engine`: pip install 'actor-conformance[engine]'"


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """Which engine to host actors on, and as whom.

    Attributes:
        url: Where the engine answers.
        namespace: Name of the namespace.
        pool: Name of the pool that this process belongs to.
        token: What the engine asks of its callers, if it does.
        version: The number of the deployment: new actors go to the highest. Never another for one key.
        envoy_key: What the engine knows this process by, and no other at the time; by default one of its own.
    """

    url: str = "http://127.0.0.1:6420"
    namespace: str = "default"
    pool: str = "default"
    token: str | None = field(default=None, repr=False)
    version: int = 1
    envoy_key: str | None = None

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> EngineAddress:
        """The address that variables of these names say, as other runtimes read them: `EngineAddress.of(os.environ)` (ENGINE-230).

        `RIVET_ENDPOINT`, `RIVET_NAMESPACE`, `RIVET_POOL_NAME`, `RIVET_TOKEN` and `RIVET_ENVOY_VERSION`.

        Raises:
            ValueError: The version is no number.
        """
        said = {field: value for name, field in VARIABLES.items() if (value := variables.get(name))}
        version = said.pop("version", "1")
        if not version.isdecimal():
            raise ValueError(f"RIVET_ENVOY_VERSION is {version!r}, and no number")
        return cls(**said, version=int(version))

    @property
    def is_local(self) -> bool:
        """Whether the engine runs on this machine (ENGINE-022)."""
        return is_loopback((urlsplit(self.url).hostname or "").lower())


async def serve_engine(
    registry: Registry,
    engine: EngineAddress | str,
    *,
    options: HostOptions | None = None,
    set_up: bool | None = None,
    on_ready: Callable[[EngineAddress], None] | None = None,
) -> None:
    """Host actors on an engine until SIGINT or SIGTERM, then have it move them elsewhere (ENGINE-200).

    Clients ask the engine, which decides where actors live; this process listens on nothing. Actors and what they keep are the
    engine's: they go on in other processes of the pool, or when this one comes back. A second signal ends the process at once.

    Args:
        registry: The actors to host.
        engine: Which one, and as whom; a URL is that of an engine with everything else by default.
        options: See `HostOptions`; what is about listening and routing is the engine's business.
        set_up: Make the namespace and configure the pool first. By default that is done for engines on this machine (ENGINE-022).
        on_ready: Called once actors are placed here, with the key that this process has.

    Raises:
        RuntimeError: The engine is not there, too old or refused a call (`SetUpError`), another process took the key (`EvictedError`), or
            the extra `engine` is not installed.
        ConnectionError: The engine sent this process away (`NoEngineError`).
        ValueError: The engine would refuse such an address.
    """
    if not structlog.is_configured():
        logs.configure()
    address = EngineAddress(engine) if isinstance(engine, str) else engine
    host = _host(registry, address, options)
    address = replace(address, envoy_key=host.address.envoy_key)
    try:
        with signals() as stop:
            await _until(stop, _serve(host, address, address.is_local if set_up is None else set_up, on_ready))
    finally:
        await host.close()


def _host(registry: Registry, address: EngineAddress, options: HostOptions | None) -> EngineHost:
    try:
        # Here and not above: programs that host actors by themselves need nothing of it.
        from runtime.hosting.engine.host import EngineHost
    except ModuleNotFoundError as error:
        if error.name != "apsw":
            raise
        raise RuntimeError(EXTRA) from error
    return EngineHost(
        registry, address.url, address.namespace, address.pool, address.token, options or HostOptions(), address.envoy_key, address.version
    )  # fmt: skip


async def _serve(host: EngineHost, address: EngineAddress, set_up: bool, on_ready: Callable[[EngineAddress], None] | None) -> None:
    if set_up:
        await setup.set_up(address.url, address.namespace, address.pool, address.token)
    else:
        await setup.check_version(address.url, address.token)
    await host.open()
    await setup.wait_listed(address.url, address.namespace, address.pool, host.address.envoy_key, address.token)
    actors = len(host.registry)
    log.info("hosting actors", engine=address.url, namespace=address.namespace, pool=address.pool, actors=actors)
    say(f"Hosting {actors} {'actor' if actors == 1 else 'actors'} on the engine at {address.url}, in pool {address.pool}.")
    if on_ready is not None:
        on_ready(address)
    await host.serve()


async def _until(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Run until the event is set, or as long as the work lasts.

    Raises:
        Exception: What ended the work.
    """
    working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        for task in (working, stopping):
            task.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)
