"""The start of one generation, step by step (section 1.1). A failing step ends the generation (START-060)."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from runtime.actor.rows import ACTOR_TABLE, INIT_KEY, INSPECTOR_TOKEN_KEY, STATE_KEY
from runtime.protocol import cbor
from runtime.protocol.values import UNDEFINED, from_wire, to_wire
from runtime.storage.base import Op, Put

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runtime.actor.lifecycle.task import ActorTask

CREATE_TIMEOUT = 5.0
WAKE_TIMEOUT = 30.0


async def run_start(task: ActorTask, become_ready: Callable[[], None]) -> None:
    """Everything from loading to the launch of the run handler; the actor is ready when this returns.

    Raises:
        Exception: Whatever a step or hook raised; the caller tears the generation down.
    """
    is_new: bool | None = None
    with _phase(task, "total", lambda: is_new):
        with _phase(task, "load_persisted", lambda: None):
            rows = await task.storage.load()
        stored = dict(rows.get(ACTOR_TABLE, ()))
        record = cbor.loads(stored[INIT_KEY]) if INIT_KEY in stored else None
        is_new = record is None or not record["has_initialized"]
        creation_input = task.identity.input if record is None else from_wire(record["input"])
        with _phase(task, "core_init", lambda: is_new):
            new_rows = _inspector_token(task, stored)
            task.queue.load(rows)
            task.schedules.load(rows)
            task.conns.restore(rows, task.host.open_sockets(task.identity.actor_id))
        with _phase(task, "runtime_preamble", lambda: is_new):
            await _migrate(task, is_new)
            if is_new:
                await _create(task, creation_input, new_rows)
            else:
                await _load_state(task, stored, creation_input, new_rows)
            await _create_vars(task)
            await task.call_hook("on_wake", task.context(), timeout=WAKE_TIMEOUT, label="onWake")
        task.run.launch()
        # One turn, so that the synchronous part of the run handler has run before the actor is ready (START-013).
        await asyncio.sleep(0)
        with _phase(task, "post_ready", lambda: is_new):
            become_ready()


@contextmanager
def _phase(task: ActorTask, name: str, is_new: Any) -> Iterator[None]:
    started = task.loop.time()
    outcome = "error"
    try:
        yield
        outcome = "success"
    finally:
        known = is_new()
        label = "unknown" if known is None else str(known).lower()
        if outcome == "success" or name == "total":
            task.metrics.phases[name, label, outcome].observe(task.loop.time() - started)


def _inspector_token(task: ActorTask, stored: dict[bytes, bytes]) -> list[Op]:
    """A token of its own at the first start, unless one fixed token replaces all (INSP-010, INSP-017)."""
    if INSPECTOR_TOKEN_KEY in stored or task.host.options.fixed_inspector_token is not None:
        return []
    return [Put(ACTOR_TABLE, INSPECTOR_TOKEN_KEY, cbor.dumps_exact(secrets.token_urlsafe(32)))]


async def _migrate(task: ActorTask, is_new: bool) -> None:
    """The provider's migration, then the user's hook, within one limit (START-012)."""

    async def migrate() -> None:
        await task.database.migrate()
        await task.call_hook("on_migrate", task.context(), is_new, timeout=None, label="onMigrate")

    if task.definition.database is None and "on_migrate" not in task.definition.hooks:
        return
    await task.limited(migrate, task.options.on_migrate_timeout, "onMigrate")


async def _create(task: ActorTask, creation_input: Any, rows: list[Op]) -> None:
    """First start: state, `on_create`, then one durable batch with the init flag (START-010, START-018, DB-020)."""
    await _create_state(task, creation_input)
    await task.call_hook("on_create", task.context(), creation_input, timeout=CREATE_TIMEOUT, label="onCreate")
    record = {"has_initialized": True, "input": to_wire(creation_input)}
    task.metrics.mutations["has_initialized"] += 1
    if creation_input is not UNDEFINED:
        task.metrics.mutations["input_set"] += 1
    await _commit_state(task, [Put(ACTOR_TABLE, INIT_KEY, cbor.dumps_exact(record)), *rows])


async def _load_state(task: ActorTask, stored: dict[bytes, bytes], creation_input: Any, rows: list[Op]) -> None:
    if task.definition.has_state and STATE_KEY not in stored:
        await _create_state(task, creation_input)  # START-019
        await _commit_state(task, rows)
    elif task.definition.has_state:
        task.state.load(stored[STATE_KEY])
    if rows:
        await task.commit(rows)


async def _create_state(task: ActorTask, creation_input: Any) -> None:
    if not task.definition.has_state:
        return
    started = task.loop.time()
    if "create_state" in task.definition.hooks:
        value = await task.call_hook("create_state", task.context(), creation_input, timeout=CREATE_TIMEOUT, label="createState")
        task.metrics.create_state.observe(task.loop.time() - started)
    else:
        value = task.state.initial()
    task.state.install(value)


async def _commit_state(task: ActorTask, rows: list[Op]) -> None:
    if task.definition.has_state:
        task.state.collect()  # changes of `on_create` are part of this write
        rows = [*rows, task.state.put()]
    try:
        await task.commit(rows)
    except BaseException:
        task.state.settled(ok=False)
        raise
    task.state.settled(ok=True)


async def _create_vars(task: ActorTask) -> None:
    if "create_vars" not in task.definition.hooks:
        task.vars = task.static_vars()
        return
    started = task.loop.time()
    limit = task.options.create_vars_timeout
    # This host offers no driver context (START-014).
    task.vars = await task.call_hook("create_vars", task.context(), None, timeout=limit, label="createVars")
    task.metrics.create_vars.observe(task.loop.time() - started)
