"""The start of one generation, step by step (section 1.1). A failing step ends the generation (START-060).

Everything that is stored comes in one read, before any user code runs: hooks see queue, schedules and connections as the last generation
left them (START-010). Nothing is sent or fired before the hooks are through; `become_ready` lets the parts loose.
"""

from __future__ import annotations

import asyncio
import copy
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from runtime import clock
from runtime.actor.hook_timeouts import within
from runtime.actor.rows import ACTOR_TABLE, INIT_KEY, INSPECTOR_TOKEN_KEY, STATE_KEY
from runtime.protocol import cbor
from runtime.protocol.cbor_heads import STORED
from runtime.protocol.copies import own_copy
from runtime.protocol.decode_errors import reading
from runtime.protocol.storable import check_storable
from runtime.protocol.values import UNDEFINED, from_wire, to_wire
from runtime.storage.base import Op, Put

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from runtime.actor.connections.sockets import ActorSocket
    from runtime.actor.lifecycle.tracked_work import WorkTracker
    from runtime.actor.ports import ActorIdentity, HostSettings
    from runtime.actor.state.actor_state import ActorState
    from runtime.declaration.definition import ActorDefinition
    from runtime.declaration.options import Options
    from runtime.metrics.registry import ActorMetrics
    from runtime.storage.actor import ActorStorage

    Rows = Mapping[str, Sequence[tuple[bytes, bytes]]]

CREATE_TIMEOUT = 5.0
WAKE_TIMEOUT = 30.0


class Loaded(Protocol):
    """A part with rows of its own: the queue, the schedules."""

    def load(self, rows: Rows) -> None:
        """Take over what the last generation stored."""


class RestoredConnections(Protocol):
    """The connections, as a start sees them."""

    def restore(self, rows: Rows, sockets: Sequence[ActorSocket]) -> None:
        """Take over what the last generation stored, and the sockets that waited."""


class MigratedDatabase(Protocol):
    """The database, as a start sees it."""

    async def migrate(self) -> None:
        """Open it and bring its schema up to date."""


class LaunchedHandler(Protocol):
    """The run handler, as a start sees it."""

    def launch(self) -> None:
        """Start it without awaiting it."""


class StartingHost(Protocol):
    """The host, as a start sees it."""

    @property
    def options(self) -> HostSettings:
        """What it decides for its actors."""
        ...

    def open_sockets(self, actor_id: str) -> Sequence[ActorSocket]:
        """Client sockets that waited."""
        ...


class StartOwner(Protocol):
    """What a start asks of its actor.

    Attributes:
        vars: Set by the start.
    """

    vars: Any

    @property
    def definition(self) -> ActorDefinition:
        """Hooks, state, variables, database."""
        ...

    @property
    def options(self) -> Options:
        """The limits of hooks."""
        ...

    @property
    def identity(self) -> ActorIdentity:
        """Who starts, with the creation input."""
        ...

    @property
    def metrics(self) -> ActorMetrics:
        """Where the phases are counted."""
        ...

    @property
    def host(self) -> StartingHost:
        """Who has the sockets."""
        ...

    @property
    def storage(self) -> ActorStorage:
        """What the last generation left."""
        ...

    @property
    def work(self) -> WorkTracker:
        """Who owns a migration that outlives its limit."""
        ...

    @property
    def state(self) -> ActorState:
        """The state."""
        ...

    @property
    def queue(self) -> Loaded:
        """The queue."""
        ...

    @property
    def schedules(self) -> Loaded:
        """The schedules."""
        ...

    @property
    def conns(self) -> RestoredConnections:
        """The connections."""
        ...

    @property
    def database(self) -> MigratedDatabase:
        """The database."""
        ...

    @property
    def run(self) -> LaunchedHandler:
        """The run handler."""
        ...

    def context(self) -> object:
        """A fresh context for one hook."""

    async def call_hook(self, hook: str, context: object, *args: Any, timeout: float | None, label: str) -> Any:
        """Run a hook if the definition has it, then flush state."""

    async def commit(self, ops: Sequence[Op]) -> None:
        """Write one durable batch."""


async def run_start(owner: StartOwner, become_ready: Callable[[], None]) -> None:
    """Everything from loading to the launch of the run handler; the actor is ready when this returns.

    Raises:
        Exception: Whatever a step or hook raised; the caller tears the generation down.
    """
    is_new: bool | None = None
    with _phase(owner, "total", lambda: is_new):
        with _phase(owner, "load_persisted", lambda: None):
            rows = await owner.storage.load()
        stored = dict(rows.get(ACTOR_TABLE, ()))
        with reading("the first start"):
            record = cbor.loads(stored[INIT_KEY], STORED) if INIT_KEY in stored else None
            is_new = record is None or not record["has_initialized"]
            creation_input = owner.identity.input if record is None else from_wire(record["input"])
        with _phase(owner, "core_init", lambda: is_new):
            new_rows = _inspector_token(owner, stored)
            # All three before any hook: a hook may send, schedule or look at connections, on top of what was there.
            owner.queue.load(rows)
            owner.schedules.load(rows)
            owner.conns.restore(rows, owner.host.open_sockets(owner.identity.actor_id))
        with _phase(owner, "runtime_preamble", lambda: is_new):
            # The schema first: every other hook may already query.
            await _migrate(owner, is_new)
            if is_new:
                await _create(owner, creation_input, new_rows)
            else:
                await _load_state(owner, stored, creation_input, new_rows)
            await _create_vars(owner)
            # Last of the hooks and at every start: what it sees is complete.
            await owner.call_hook("on_wake", owner.context(), timeout=WAKE_TIMEOUT, label="onWake")
        owner.run.launch()
        # One turn, so that the synchronous part of the run handler has run before the actor is ready (START-013).
        await asyncio.sleep(0)
        with _phase(owner, "post_ready", lambda: is_new):
            become_ready()


@contextmanager
def _phase(owner: StartOwner, name: str, is_new: Any) -> Iterator[None]:
    started = clock.monotonic()
    outcome = "error"
    try:
        yield
        outcome = "success"
    finally:
        # Asked at the end: when the outermost phase begins, nobody has read yet whether the actor is new.
        known = is_new()
        label = "unknown" if known is None else str(known).lower()
        # A failed step counts in `total` only (METRIC-025).
        if outcome == "success" or name == "total":
            owner.metrics.phases[name, label, outcome].observe(clock.monotonic() - started)


def _inspector_token(owner: StartOwner, stored: dict[bytes, bytes]) -> list[Op]:
    """A token of its own at the first start, unless one fixed token replaces all (INSP-010, INSP-017)."""
    if INSPECTOR_TOKEN_KEY in stored or owner.host.options.fixed_inspector_token is not None:
        return []
    return [Put(ACTOR_TABLE, INSPECTOR_TOKEN_KEY, cbor.dumps_exact(secrets.token_urlsafe(32)))]


async def _migrate(owner: StartOwner, is_new: bool) -> None:
    """The provider's migration, then the user's hook, within one limit (START-012)."""

    async def migrate() -> None:
        await owner.database.migrate()
        await owner.call_hook("on_migrate", owner.context(), is_new, timeout=None, label="onMigrate")

    if owner.definition.database is None and "on_migrate" not in owner.definition.hooks:
        return
    await within(owner.work, migrate(), owner.options.on_migrate_timeout, "onMigrate")


async def _create(owner: StartOwner, creation_input: Any, rows: list[Op]) -> None:
    """First start: state, `on_create`, then one durable batch with the init flag (START-010, START-018, DB-020)."""
    # Found out now and not by the start that cannot read it back: an input may have come as deep as a message may be.
    check_storable(creation_input)
    # The init flag comes with the first batch of all: a creation that fails half-way is begun anew by the next start (START-018).
    await _create_state(owner, creation_input)
    await owner.call_hook("on_create", owner.context(), own_copy(creation_input), timeout=CREATE_TIMEOUT, label="onCreate")
    record = {"has_initialized": True, "input": to_wire(creation_input)}
    owner.metrics.mutations["has_initialized"] += 1
    if creation_input is not UNDEFINED:
        owner.metrics.mutations["input_set"] += 1
    await _commit_state(owner, [Put(ACTOR_TABLE, INIT_KEY, cbor.dumps_exact(record)), *rows])


async def _load_state(owner: StartOwner, stored: dict[bytes, bytes], creation_input: Any, rows: list[Op]) -> None:
    if owner.definition.has_state and STATE_KEY not in stored:
        await _create_state(owner, creation_input)  # START-019
        await _commit_state(owner, rows)
    elif owner.definition.has_state:
        owner.state.load(stored[STATE_KEY])
    if rows:
        await owner.commit(rows)


async def _create_state(owner: StartOwner, creation_input: Any) -> None:
    if not owner.definition.has_state:
        return
    started = clock.monotonic()
    if "create_state" in owner.definition.hooks:
        # A copy for each hook: what one does to it neither the next one sees, nor the row, nor a creation that is begun anew (START-026).
        own = own_copy(creation_input)
        value = await owner.call_hook("create_state", owner.context(), own, timeout=CREATE_TIMEOUT, label="createState")
        owner.metrics.create_state.observe(clock.monotonic() - started)
    else:
        value = owner.state.initial()
    owner.state.install(value)


async def _commit_state(owner: StartOwner, rows: list[Op]) -> None:
    if owner.definition.has_state:
        owner.state.collect()  # changes of `on_create` are part of this write
        rows = [*rows, owner.state.put()]
    try:
        await owner.commit(rows)
    except BaseException:
        owner.state.settled(ok=False)
        raise
    owner.state.settled(ok=True)


async def _create_vars(owner: StartOwner) -> None:
    if "create_vars" not in owner.definition.hooks:
        declared = owner.definition.vars
        # Copied, because the definition is shared by all actors and generations (RUN-200).
        owner.vars = None if declared is UNDEFINED else copy.deepcopy(declared)
        return
    started = clock.monotonic()
    limit = owner.options.create_vars_timeout
    # This host offers no driver context (START-014).
    owner.vars = await owner.call_hook("create_vars", owner.context(), None, timeout=limit, label="createVars")
    owner.metrics.create_vars.observe(clock.monotonic() - started)
