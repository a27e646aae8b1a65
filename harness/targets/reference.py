"""The reference runtime in this process, on the loop of the session: the only target that knows virtual time.

This is the one module of the harness that knows the runtime and its fixtures, and it loads them only to start them: the plug-in and the
command line work for other targets without.
"""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING, Any, Literal

from harness import capabilities
from harness.errors import TargetError
from harness.targets.base import Endpoint, TimeMode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime import InProcessServer, Registry

CAPABILITIES = capabilities.ALL - {"admin_token", "runtime_socket"}
"""What the reference runtime declares."""


class ReferenceTarget:
    """`storage` is `sqlite` (its embedded default, in a temporary directory) or `memory`."""

    name = "reference"
    capabilities = CAPABILITIES
    profile = "seed"
    time_modes = (TimeMode.VIRTUAL, TimeMode.REAL)
    storages = ("sqlite", "memory")
    time_scale = 1.0
    # Names and no imports, for the same reason: only the server that lanes are forked from loads them.
    preload = ("runtime", "runtime.serving.program", "fixtures")

    def __init__(self) -> None:
        """Nothing is started."""
        self._server: InProcessServer | None = None
        self._directory: tempfile.TemporaryDirectory[str] | None = None

    async def start(self, storage: str) -> Endpoint:
        """Build the application with the standard fixtures and serve it.

        Raises:
            TargetError: the runtime did not start.
        """
        # Lazily, here and below: the command line and the plug-in must work where only another target is installed, and a judge that had
        # loaded the runtime at import could not claim that it decodes by itself. Forked lanes find it in `preload`, so that this costs
        # nothing per lane.
        from runtime import NO_RATE_LIMITS, VIRTUAL_TIME, HostOptions, InProcessServer, create_app

        place = "memory"
        if storage == "sqlite":
            self._directory = tempfile.TemporaryDirectory(prefix="conform-", ignore_cleanup_errors=True)
            place = self._directory.name
        # The whole corpus is one caller, which in virtual time has no minutes to spread its requests over.
        # Tests ask under other names and from other pages. Nobody else knows the port, and the data is that of tests.
        options = HostOptions(any_pool=True, rate_limits=NO_RATE_LIMITS, allow_origins=("*",), allow_hosts=("*",), **switches())
        # A real server on a real socket although the loop is ours: a transport inside the process would skip what frames and closes are
        # about.
        server = InProcessServer(create_app(self._registry(), storage=place, options=options), limits=VIRTUAL_TIME)
        try:
            self._server = await server.__aenter__()
        except (OSError, RuntimeError) as error:
            raise TargetError(f"the reference runtime did not start: {error}") from error
        return Endpoint(server.url)

    def _registry(self) -> Registry:
        from fixtures import standard_registry

        return standard_registry()

    async def stop(self) -> None:
        """Stop serving and delete the data."""
        # Tolerant, as it is also called when `start` failed half-way.
        if self._server is not None:
            await self._server.__aexit__(None, None, None)
            self._server = None
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None


class NullTarget(ReferenceTarget):
    """The reference runtime hosting nothing: what passes on it passes without any actor (`docs/reference/null.md`)."""

    name = "null"

    def _registry(self) -> Registry:
        from runtime import Registry

        return Registry()


def switches() -> dict[str, Any]:
    """The host options that the environment of a test sets: what the peer reads itself, our runtime is told (INSP-017, WIRE-632)."""
    return {"inspector_token": os.environ.get("_RIVET_TEST_INSPECTOR_TOKEN") or None, "answers_probes": bool(os.environ.get("VITEST"))}


def serve_standard(
    host: str,
    port: int,
    storage: str,
    on_ready: Callable[[str, str | None], None],
    *,
    synchronous: Literal["normal", "full", "off"] = "normal",
    token: str | None = None,
    proxies: Sequence[str] = (),
    origins: tuple[str, ...] = (),
    hosts: tuple[str, ...] = (),
) -> None:
    """Serve the standard fixtures until a signal.

    Args:
        host: what to listen on.
        port: 0 picks a free one.
        storage: `memory` or a data directory.
        synchronous: what a directory keeps when the machine loses power, see `runtime.SQLiteStorage`.
        on_ready: gets the URL and the token of the operators, if there is one.
        token: the token of the operators; one is made when there is none and other machines reach the server.
        proxies: trusted ones. Behind them many may call, and rate limits apply to each; without, the one caller is a corpus.
        origins: pages of elsewhere that may use the server, `*` for every one.
        hosts: other names under which it may be asked, `*` for any.

    Raises:
        TargetError: the port is taken, the storage cannot be opened, or an option is none.
    """
    from fixtures import standard_registry
    from runtime import NO_RATE_LIMITS, HostOptions, RateLimits, ServerLimits, SQLiteStorage, run

    rates = RateLimits() if proxies else NO_RATE_LIMITS
    # The peer sends no pings, so a suite may count the frames of a silent client (WIRE-265).
    limits = ServerLimits(ping_interval=None)
    options = HostOptions(
        any_pool=True, rate_limits=rates, admin_token=token, trusted_proxies=tuple(proxies), allow_origins=origins, allow_hosts=hosts,
        **switches(),
    )  # fmt: skip
    known = [token]
    place = storage if storage == "memory" else SQLiteStorage(storage, synchronous=synchronous)
    try:
        run(
            standard_registry(), host=host, port=port, options=options, limits=limits, storage=place,
            on_token=known.append, on_ready=lambda url: on_ready(url, known[-1]),
        )  # fmt: skip
    except (OSError, RuntimeError, ValueError) as error:
        raise TargetError(f"cannot serve on {host}:{port} with storage {storage}: {error}") from error


def serve_standard_on_engine(
    url: str,
    namespace: str,
    pool: str,
    on_ready: Callable[[str, str, str, str | None, str], None],
    *,
    token: str | None = None,
    envoy_key: str | None = None,
    deployment: int = 1,
    set_up: bool | None = None,
) -> None:
    """Host the standard fixtures on a Rivet Engine until a signal.

    Args:
        url: where the engine answers.
        namespace: the namespace.
        pool: the pool that this process belongs to.
        on_ready: gets URL, namespace, pool, token and the key of this envoy, once actors are placed here.
        token: what the engine asks of its callers.
        envoy_key: what it knows this process by; one is made without.
        deployment: new actors go to the highest.
        set_up: make the namespace and configure the pool first; by default for engines on this machine.

    Raises:
        TargetError: the engine is not there, or refused.
    """
    from fixtures import standard_registry
    from runtime import EngineAddress, HostOptions, serve_engine
    from runtime.serving.event_loop import run_program

    def ready(address: EngineAddress) -> None:
        assert address.envoy_key is not None
        on_ready(address.url, address.namespace, address.pool, address.token, address.envoy_key)

    where = EngineAddress(url, namespace, pool, token, deployment, envoy_key)
    try:
        run_program(serve_engine(standard_registry(), where, options=HostOptions(**switches()), set_up=set_up, on_ready=ready))
    except (OSError, RuntimeError, ValueError) as error:
        raise TargetError(f"cannot host actors on the engine at {url}: {error}") from error
