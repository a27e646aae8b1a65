"""The host that is a whole control plane in one process: records, keys, slots, alarms, shutdown."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import structlog

from runtime import clock
from runtime.actor.connections.raw.close_ack import CloseLedger
from runtime.actor.database.pool import DatabasePool
from runtime.actor.ports import StopReason
from runtime.errors import make_error
from runtime.gateway.socket_table import SocketTable
from runtime.hosting.options import HostOptions
from runtime.hosting.standalone import records
from runtime.hosting.standalone.actor_keys import Directory, check_key
from runtime.hosting.standalone.alarms import AlarmClock
from runtime.hosting.standalone.creation_limit import CreationLimit
from runtime.hosting.standalone.destroyed import DestroyedRecords
from runtime.hosting.standalone.loopback import LoopbackClients
from runtime.hosting.standalone.namespaces import NamespaceBook
from runtime.hosting.standalone.pools import NORMAL_POOL, hosted
from runtime.hosting.standalone.records import ActorRecord
from runtime.hosting.standalone.slot import ActorSlot, SlotState
from runtime.hosting.standalone.supervisor import NO_ENVOYS, Supervisor
from runtime.hosting.standalone.waking import SlotReach, Waking
from runtime.hosting.standalone.write_behind import WriteBehind
from runtime.metrics.registry import Metrics
from runtime.protocol.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from client import Client
    from runtime.actor.connections.sockets import ActorSocket
    from runtime.actor.lifecycle.task import ActorTask
    from runtime.declaration.registry import Registry
    from runtime.hosting.standalone.namespaces import Namespace
    from runtime.storage.base import Storage

log = structlog.get_logger(__name__)


class StandaloneHost:
    """Hosts every actor of a registry in this process; implements `HostPort`.

    Open it before use and close it in the end. `endpoint` is the URL under which actors reach their own gateway; whoever serves the
    application sets it, otherwise the first request tells.
    """

    def __init__(self, registry: Registry, storage: Storage, options: HostOptions | None = None) -> None:
        self.registry = registry
        self.storage = storage
        self.options = options or HostOptions()
        self.metrics = Metrics()
        self.endpoint: str | None = None
        self._directory = Directory()
        self.slots = self._directory.slots
        self.rows = WriteBehind(storage)
        self.databases = DatabasePool(self.options.database_threads, self.options.database_files)
        self._creations = CreationLimit(self.options.rate_limits)
        self.namespaces = NamespaceBook(self.rows, CreationLimit(self.options.rate_limits))
        self.destroyed = DestroyedRecords(storage)
        self.sockets = SocketTable(self.ready)
        self.close_acks = CloseLedger()
        self.started_ms = 0
        self._alarms = AlarmClock(self._alarm_due)
        self._supervisor = Supervisor(self, self._buried)
        self._waking = Waking(self._supervisor, self.options.ready_timeout)
        self.reach = SlotReach(self.slots, self._waking.ready, self.options.ready_timeout)
        self._clients = LoopbackClients()
        self._opened = False

    async def open(self) -> None:
        """Open the storage, load records, arm alarms. Actors stay asleep until something needs them (STOP-034).

        Raises:
            Exception: The storage cannot be used, or what the host keeps in it cannot be read; it is closed again.
        """
        await self.storage.open()
        try:
            await self._load()
        except BaseException:
            await self.storage.close()
            raise
        self._opened = True

    async def _load(self) -> None:
        self.started_ms = clock.now_ms()
        await records.finish_erasing(self.storage)
        await self.destroyed.open()
        await self.namespaces.load(self.storage)
        home = await self.namespaces.ensure(self.options.namespace)
        await self.namespaces.ensure("default")
        if self.options.pool not in home.pools:
            home.pools[self.options.pool] = NORMAL_POOL
            await self.namespaces.save(home)
        for record in await records.load_live(self.storage):
            self._restore(record)

    async def close(self) -> None:
        """Stop all actors (going away), close sockets and clients, write everything, close the storage. May be repeated."""
        # Called twice in a server: before it cuts connections, and by the lifespan.
        if not self._opened:
            return
        self._opened = False
        # First what starts actors, then the actors, then what they wrote through.
        self._alarms.stop()
        await self._supervisor.close()
        await self.databases.close()
        await self.sockets.close()
        await self._clients.close()
        await self.rows.close()
        await self.destroyed.close()
        await self.storage.close()

    def _restore(self, record: ActorRecord) -> None:
        namespace = self.namespaces.by_id(record.namespace_id)
        if namespace is None:
            # Damage to the row of a namespace: its actors are not there, all others are.
            log.error("an actor belongs to an unknown namespace", actor_id=record.actor_id, namespace_id=record.namespace_id)
            return
        # The record of a process that was killed still looks awake.
        record.connectable_ts = None
        record.sleep_ts = record.sleep_ts or self.started_ms
        created, slot = record.create_ts, ActorSlot(record, namespace)
        self._directory.add(slot)
        if record.error == NO_ENVOYS:
            self._supervisor.unserved(slot)
        # Older releases gave several of a name the same time.
        if record.create_ts != created:
            self.rows.mark(record)
        self.namespaces.used(namespace, record.name, record.create_ts)
        self._alarms.set(record.actor_id, record.alarm)

    # Finding and creating.

    def find(self, namespace: Namespace, name: str, key: str) -> ActorSlot | None:
        """The live actor with exactly that serialized key (WIRE-067)."""
        return self._directory.find(namespace, name, key)

    def newest(self, namespace: Namespace, name: str, before: int | None, limit: int) -> list[ActorSlot]:
        """The live actors of a name, newest first, created strictly before `before` milliseconds (WIRE-068, WIRE-070)."""
        return self._directory.newest(namespace, name, before, limit)

    async def get_or_create(
        self, namespace: Namespace, name: str, key: str, pool: str, input_cbor: bytes | None = None
    ) -> tuple[ActorSlot, bool]:
        """The live actor of a key, created when there is none; concurrent callers get the same one (WIRE-080, WIRE-081, WIRE-090).

        Raises:
            ActorError: `actor.empty_key`, `actor.key_too_large`, `actor.no_runner_config_configured`, `actor.creation_rate_limit`.
        """
        check_key(key)
        slot = self.find(namespace, name, key)
        if slot is None:
            return await self._create(namespace, name, key, pool, input_cbor), True
        if slot.created is not None:
            # Asked again, not trusted: that creation may have failed, and then the key is free.
            await slot.created.wait()
            return await self.get_or_create(namespace, name, key, pool, input_cbor)
        return slot, False

    async def create(self, namespace: Namespace, name: str, key: str | None, pool: str, input_cbor: bytes | None = None) -> ActorSlot:
        """Create an actor; without a key no lookup finds it (WIRE-084).

        Raises:
            ActorError: `actor.duplicate_key`, or what `get_or_create` raises.
        """
        if key is not None:
            check_key(key)
            holder = self.find(namespace, name, key)
            if holder is not None:
                raise make_error("actor.duplicate_key", key=key, existing_actor_id=holder.actor_id)
        return await self._create(namespace, name, key, pool, input_cbor)

    async def _create(self, namespace: Namespace, name: str, key: str | None, pool: str, input_cbor: bytes | None) -> ActorSlot:
        if pool not in namespace.pools:
            raise make_error("actor.no_runner_config_configured", namespace=namespace.name, pool_name=pool)
        self._creations.check(namespace.namespace_id)
        served = self.serves(namespace, pool)
        # Behind the last of its name, which may be destroyed: no two share the millisecond that ends a page (WIRE-070).
        created = max(clock.now_ms(), namespace.names.last_ms(name) + 1)
        record = ActorRecord(new_id(), namespace.namespace_id, name, key, pool, created, input_cbor, generation=int(served))
        slot = ActorSlot(record, namespace)
        # Known under its key before the first await, and counted as starting: whoever asks meanwhile waits for this one.
        slot.begin_creation()
        self._directory.add(slot)
        written = self.rows.write(record)
        end = partial(self._created, slot, allocated=served)
        try:
            await asyncio.shield(written)
        finally:
            if written.done():
                end(written)
            else:
                # Whoever asked is gone: a record that is being written must not become one that nobody knows.
                written.add_done_callback(end)
        return slot

    def _created(self, slot: ActorSlot, written: asyncio.Future[None], *, allocated: bool) -> None:
        if written.exception() is not None:
            self.rows.forget(slot.record)
            self._forget(slot)
            slot.abandon()
            slot.end_creation()
            return
        self.namespaces.used(slot.namespace, slot.record.name, slot.record.create_ts)
        slot.end_creation()
        self._supervisor.start(slot, allocated=allocated)

    def _buried(self, slot: ActorSlot) -> None:
        self.destroyed.buried(slot.record)
        self._forget(slot)

    def _forget(self, slot: ActorSlot) -> None:
        """The actor does not exist any more: free its id and key, close its sockets, drop its alarm."""
        self._directory.remove(slot)
        self._alarms.set(slot.actor_id, None)
        self.sockets.actor_gone(slot.actor_id)

    def serves(self, namespace: Namespace, pool: str) -> bool:
        """Whether this process hosts actors of the pool."""
        return pool in namespace.pools and hosted(self.options, pool)

    @property
    def loopback_secret(self) -> str:
        """What calls of this host's own actors are known by at its port."""
        return self._clients.secret

    def load(self, namespace: Namespace, pool: str) -> int:
        """How many generations of a pool there are."""
        return self._supervisor.loads[namespace.namespace_id, pool]

    # Reaching.

    async def ready(self, actor_id: str) -> ActorTask:
        """The running generation of an actor, started if need be; see `Waking.ready` for the errors."""
        slot = self.slots.get(actor_id)
        if slot is None:
            raise make_error("actor.not_found")
        return await self._waking.ready(slot)

    # Orders of the control plane.

    async def destroy(self, slot: ActorSlot) -> None:
        """Destroy and wait until done, grace period included (WIRE-100)."""
        await self._supervisor.destroy(slot)

    def sleep(self, slot: ActorSlot) -> None:
        """Ask a running actor to sleep (WIRE-103)."""
        self._supervisor.stop(slot, StopReason.SLEEP_INTENT)

    def reschedule(self, slot: ActorSlot) -> None:
        """Stop and start again; a sleeping actor just starts (SLEEP-025, START-033)."""
        self._supervisor.stop(slot, StopReason.GOING_AWAY)

    def pool_configured(self, namespace: Namespace, pool: str) -> None:
        """A pool became available: start actors that were created before it could be served."""
        for slot in self._supervisor.take_unserved(namespace, pool):
            self._waking.wake(slot)

    # HostPort: what actors ask for.

    def request_sleep(self, actor_id: str, generation: int) -> None:
        """Sleep intent of a running generation (SLEEP-020)."""
        self._intent(actor_id, generation, StopReason.SLEEP_INTENT)

    def request_destroy(self, actor_id: str, generation: int) -> None:
        """Stop intent of a running generation (DESTROY-002)."""
        self._intent(actor_id, generation, StopReason.STOP_INTENT)

    def _intent(self, actor_id: str, generation: int, reason: StopReason) -> None:
        slot = self.slots.get(actor_id)
        # A late word of an older generation must not stop its successor.
        if slot is not None and slot.record.generation == generation and slot.state is not SlotState.ASLEEP:
            self._supervisor.stop(slot, reason)

    async def set_alarm(self, actor_id: str, generation: int, at_ms: int | None) -> None:
        """Replace the one alarm of an actor; durable when this returns (TASK-240)."""
        slot = self.slots.get(actor_id)
        # As with intents: the alarm of a living generation is not for a dead one to change.
        if slot is None or slot.record.generation != generation:
            return
        if slot.record.alarm != at_ms:
            self.alarm(slot, at_ms)
        # Also the same alarm again: the write of the first time may have failed, or be under way.
        elif not self.rows.owes(slot.record):
            return
        await self.rows.save(slot.record)

    def alarm(self, slot: ActorSlot, at_ms: int | None) -> None:
        """Replace the alarm of an actor without waiting until that is durable."""
        slot.record.alarm = at_ms
        self._alarms.set(slot.actor_id, at_ms)
        self.rows.mark(slot.record)

    def _alarm_due(self, actor_id: str) -> None:
        slot = self.slots.get(actor_id)
        if slot is None:
            return
        if slot.state is SlotState.RUNNING and slot.task is not None:
            slot.task.fire_alarm()
        elif slot.state is SlotState.ASLEEP:
            self._supervisor.start(slot)
        # The record keeps the alarm until the actor tells the next one: a process that is killed meanwhile has it when it comes back. While
        # starting the actor dispatches what is due, while stopping the end of the stop starts it (TASK-244).

    def client(self, actor_id: str) -> Client:
        """A client to this host's own gateway, one per namespace and pool of an actor, for actor-to-actor calls."""
        if self.endpoint is None:
            raise RuntimeError("the address of this host is not known: set StandaloneHost.endpoint, or serve with runtime.serve")
        slot = self.slots.get(actor_id)
        target = (self.options.namespace, self.options.pool) if slot is None else (slot.namespace.name, slot.record.pool)
        return self._clients.get(self.endpoint, *target)

    def open_sockets(self, actor_id: str) -> Sequence[ActorSocket]:
        """Client sockets of the actor that hibernate here (HIB-051)."""
        return self.sockets.hibernating(actor_id)
