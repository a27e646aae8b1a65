"""`Connection`: actions and events over one WebSocket that reconnects by itself (WIRE section 11.4)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from client.actions import ActionCaller
from client.calls import CallsOwner, GatewayCalls
from client.configuration_error import ConfigurationError
from client.connections.events import Callbacks, Listeners, call_listener
from client.connections.link import ConnectionClosedError, Link
from client.connections.reconnection import Reconnection
from client.opening import SocketOwner, connection_params, open_socket
from client.queue import QueueOwner, QueueSender
from runtime.errors import ActorError, from_wire_error, make_error
from runtime.protocol.connection_frames import encode_to_server
from runtime.protocol.decode_errors import DecodeError
from runtime.protocol.messages import ActionRequest, ActionResponse, ErrorFrame, Event, Init, QueueResult, SubscriptionRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from client.query import ActorQuery
    from runtime.protocol.messages import ToClient

IDLE, CONNECTING, CONNECTED, DISCONNECTED = "idle", "connecting", "connected", "disconnected"


class ConnectionOwner(CallsOwner, SocketOwner, QueueOwner, Protocol):
    """What a connection uses of the client: what its parts use, and a place among those that are disposed with it."""

    def track(self, connection: Connection) -> None:
        """A connection to dispose with the client."""
        ...

    def untrack(self, connection: Connection) -> None:
        """A connection that was disposed."""
        ...


class ConnectionDisposedError(Exception):
    """The connection was disposed (CONN-104)."""

    def __init__(self) -> None:
        super().__init__("Attempting to interact with a disposed actor connection.")


class Connection:
    """A live connection to one actor.

        async with handle.connect() as conn:
            conn.on("newCount", print)
            await conn.increment(1)

    It opens in the background and reconnects after every loss, subscriptions included, until it is disposed. An opening that fails for
    good makes it `idle`; every later call raises the reason (CONN-105). Listeners are plain functions.

    Attributes:
        status: `idle`, `connecting`, `connected` or `disconnected` (WIRE-951).
        actor_id, connection_id: From the last `Init`; None before the first.
    """

    def __init__(self, client: ConnectionOwner, query: ActorQuery, params: Any, get_params: Any, *, skip_ready_wait: bool = False) -> None:
        self._client = client
        self._query = query
        self._params = params
        self._get_params = get_params
        self._skip = skip_ready_wait
        self._limits = client.config.limits
        self._again = Reconnection(client.policy, dynamic=query.is_dynamic)
        self.status = IDLE
        self.actor_id: str | None = None
        self.connection_id: str | None = None
        # Two names for one socket: it must be closed from the moment it is open, but carry no call before `Init` and one turn later
        # (WIRE-951).
        self._link: Link | None = None  # the open socket
        self._outlet: Link | None = None  # the same, from when calls may be sent on it
        # Counted over all sockets of the connection (WIRE-953): a late answer to an action of the socket before must not meet a new one.
        self._next_id = 0
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._queued: dict[int, bytes | str] = {}
        self._events = Listeners()
        self._on_status, self._on_open, self._on_close, self._on_error = Callbacks(), Callbacks(), Callbacks(), Callbacks()
        self._sender = QueueSender(client, GatewayCalls(client, query, skip_ready_wait=skip_ready_wait), through_query=True)
        loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = loop.create_future()
        # Whoever never awaits `ready` must not be told by asyncio that its exception was never retrieved.
        self._ready.add_done_callback(_consume)
        self._disposed = False
        self._failure: BaseException | None = None
        self._task = loop.create_task(self._run())
        client.track(self)

    # Calls.

    async def ready(self) -> None:
        """Wait for the first `connected`; raises what made the opening fail for good."""
        # Shielded, as all who wait share one future: a cancelled one must not cancel it for the others.
        await asyncio.shield(self._ready)

    async def action(self, name: str, *args: Any) -> Any:
        """Call an action; before the connection is ready the call is queued (WIRE-954).

        Raises:
            ActorError: The action failed, or the connection ended with a structured error; client.timed_out when it did not open in time,
                client.overloaded when too many calls wait for their answers (WIRE-909).
            ConnectionClosedError: The socket was lost; the call may or may not have run.
            ConnectionDisposedError: The connection was disposed.
        """
        self._check_usable()
        action_id = self._next_id
        self._check_room()
        # Encoded before the id is used up and anything is kept: arguments that cannot be encoded leave no trace of the call.
        frame = encode_to_server(ActionRequest(action_id, name, list(args)), self._client.config.encoding)
        self._next_id += 1
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._pending[action_id] = reply
        expiry: asyncio.TimerHandle | None = None
        try:
            if self._outlet is not None:
                self._outlet.send_frame(frame)
            else:
                self._queued[action_id] = frame
                if self._limits.unsent is not None:
                    expiry = reply.get_loop().call_later(self._limits.unsent, self._expire, action_id, name)
            return await reply
        finally:
            if expiry is not None:
                expiry.cancel()
            self._pending.pop(action_id, None)
            self._queued.pop(action_id, None)

    def _check_room(self) -> None:
        if self._limits.pending is not None and len(self._pending) >= self._limits.pending:
            raise make_error("client.overloaded", pending=self._limits.pending)

    def _expire(self, action_id: int, name: str) -> None:
        """A call that waited for the connection for too long (WIRE-909): it was never sent, so it did not run."""
        reply = self._pending[action_id]
        if self._queued.pop(action_id, None) is not None and not reply.done():
            reply.set_exception(make_error("client.timed_out", awaited=f"the connection to call {name}", seconds=self._limits.unsent))

    def __getattr__(self, name: str) -> ActionCaller:
        if name.startswith("_"):
            raise AttributeError(name)
        return ActionCaller(self.action, name)

    async def send(self, queue: str, body: Any = None, *, wait: bool = False, timeout: float | None = None) -> QueueResult | None:
        """Send a queue message over HTTP, not over the socket (WIRE-963); as `Handle.send`."""
        self._check_usable()
        return await self._sender.send(queue, body, self._params, wait=wait, timeout=timeout)

    def _check_usable(self) -> None:
        if self._disposed:
            raise ConnectionDisposedError
        if self._failure is not None:
            raise self._failure

    # Listeners.

    def on(self, event: str, listener: Callable[..., object]) -> Callable[[], None]:
        """Call `listener(*args)` for each event; returns its removal. The first listener subscribes, the last one unsubscribes."""
        return self._listen(event, listener, once=False)

    def once(self, event: str, listener: Callable[..., object]) -> Callable[[], None]:
        """`on` for one event; when it was the last listener the subscription ends, too (EVENT-014)."""
        return self._listen(event, listener, once=True)

    def _listen(self, event: str, listener: Callable[..., object], *, once: bool) -> Callable[[], None]:
        entry, first = self._events.add(event, listener, once=once)
        if first:
            self._subscribe(event, True)

        def remove() -> None:
            if self._events.remove(event, entry):
                self._subscribe(event, False)

        return remove

    def _subscribe(self, event: str, subscribe: bool) -> None:
        # Nothing is kept for later: on opening all listened events are subscribed (WIRE-954).
        if self._outlet is not None:
            try:
                self._outlet.send(SubscriptionRequest(event, subscribe))
            except ActorError:
                # Nobody awaits a subscription. A peer that takes nothing any more is left, and the next socket begins with all of them.
                self._outlet.abort()

    def on_status_change(self, listener: Callable[[str], object]) -> Callable[[], None]:
        """Call `listener(status)` on each change; returns its removal."""
        return self._on_status.add(listener)

    def on_open(self, listener: Callable[[], object]) -> Callable[[], None]:
        """Call `listener()` on each `connected`; soon, when it is already (WIRE-952)."""
        if self.status == CONNECTED:
            asyncio.get_running_loop().call_soon(call_listener, listener)
        return self._on_open.add(listener)

    def on_close(self, listener: Callable[[], object]) -> Callable[[], None]:
        """Call `listener()` on leaving `connected`."""
        return self._on_close.add(listener)

    def on_error(self, listener: Callable[[BaseException], object]) -> Callable[[], None]:
        """Call `listener(error)` for structured errors of the connection itself (WIRE-956, WIRE-957)."""
        return self._on_error.add(listener)

    # The end.

    async def dispose(self) -> None:
        """End the connection: close with 1000 `Disposed`, reject what is pending; may be repeated (WIRE-962)."""
        if self._disposed:
            return
        self._disposed = True
        self._outlet = None
        self._client.untrack(self)
        # The status first (WIRE-962): who listens to it learns of the end although the close handshake may take seconds.
        self._set_status(IDLE)
        try:
            if self._link is not None:
                await self._link.close(1000, "Disposed")
        finally:
            # Only after the close was answered: cancelled earlier, the task would close the socket itself, without the reason.
            self._task.cancel()
            self._reject(ConnectionDisposedError())
        # A listener may dispose; it runs inside this very task, which cannot wait for itself.
        if self._task is not asyncio.current_task():
            await asyncio.wait({self._task})

    async def __aenter__(self) -> Connection:
        try:
            await self.ready()
        except BaseException:
            await self.dispose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.dispose()

    # The life of the connection.

    async def _run(self) -> None:
        try:
            await self._client.ready()
            while True:
                await asyncio.sleep(self._again.delay())
                self._set_status(CONNECTING)
                failure, opened = await self._attempt()
                if self._disposed:
                    return
                if not self._again.goes_on(failure, opened=opened):
                    self._fail(failure)
                    return
                self._lost(failure)
        except Exception as error:
            # Whatever it is, callers must not wait for ever.
            if not self._disposed:
                self._fail(error)

    async def _attempt(self) -> tuple[BaseException, bool]:
        """One socket from opening to its end: why it ended, and whether it was ever connected."""
        try:
            params = await connection_params(self._params, self._get_params)
            encoding = self._client.config.encoding
            socket = await open_socket(
                self._client, self._query, "/connect", encoding=str(encoding), params=params, skip_ready_wait=self._skip
            )
        except (ActorError, ConfigurationError) as error:
            return error, False
        async with Link(socket, encoding, self._limits.pending) as link:
            self._link = link
            try:
                failure = await self._converse_in_time(link)
                return failure or link.ending(), self._outlet is not None
            finally:
                self._link = self._outlet = None

    async def _converse_in_time(self, link: Link) -> BaseException | None:
        """`_converse` with a limit until `Init` (WIRE-909)."""
        limit = self._limits.open
        try:
            async with asyncio.timeout(limit) as opening:
                return await self._converse(link, opening)
        except TimeoutError as error:
            failure = make_error("client.connection_open_failed", reason=f"no Init within {limit:g} s")
            failure.__cause__ = error
            return failure

    async def _converse(self, link: Link, opening: asyncio.Timeout) -> BaseException | None:
        """Handle messages until the end; returns why when the close reason does not tell."""
        while True:
            try:
                message = await link.receive()
            except DecodeError as undecodable:
                return undecodable
            if message is None:
                return None
            if isinstance(message, Init):
                opening.reschedule(None)
                await self._opened(link, message)
            elif isinstance(message, ErrorFrame) and message.action_id is None:
                told = from_wire_error(message.error)
                if self._outlet is None:
                    return told
                if not self._again.is_stale(told):
                    self._reject_sent(told)
                    self._on_error.call(told)
            else:
                self._deliver(message)

    async def _opened(self, link: Link, init: Init) -> None:
        self.actor_id, self.connection_id = init.actor_id, init.connection_id
        await asyncio.sleep(0)  # `connected` is entered one turn after Init (WIRE-951)
        # During that turn user code may have disposed; and a server that sends `Init` twice must not open twice.
        if self._disposed or self._outlet is not None:
            return
        self._set_status(CONNECTED)
        self._outlet = link
        self._again.opened()
        # In this order (WIRE-952): what a queued action makes the actor broadcast already finds the subscriptions there.
        for event in self._events.names():
            link.send(SubscriptionRequest(event, True), bounded=False)
        for frame in self._queued.values():
            link.send_frame(frame, bounded=False)
        self._queued.clear()

    def _deliver(self, message: ToClient) -> None:
        if isinstance(message, Event):
            if self._events.emit(message.name, message.args):
                self._subscribe(message.name, False)
        elif isinstance(message, ActionResponse):
            # Nobody waits for the answer of a cancelled call; it is no fault of the server.
            reply = self._pending.get(message.id)
            if reply is not None and not reply.done():
                reply.set_result(message.output)
        elif isinstance(message, ErrorFrame) and message.action_id is not None:
            reply = self._pending.get(message.action_id)
            if reply is not None and not reply.done():
                reply.set_exception(from_wire_error(message.error))

    def _lost(self, failure: BaseException) -> None:
        """Another attempt follows: reject what was sent, keep what is queued (WIRE-957, WIRE-960, CONN-103)."""
        self._set_status(DISCONNECTED)
        # Here what is queued goes, too: it would wait as long as the user's own provider raises.
        if isinstance(failure, ActorError) and failure.name == "client.get_params_failed":
            self._reject(failure)
        self._reject_sent(failure)
        if not isinstance(failure, ConnectionClosedError) and not self._again.is_stale(failure):
            self._on_error.call(failure)

    def _fail(self, failure: BaseException) -> None:
        """Give up: later calls get the error (WIRE-959, CONN-105)."""
        if isinstance(failure, (ConnectionClosedError, ConfigurationError, DecodeError)):
            cause, failure = failure, make_error("client.connection_open_failed", reason=str(failure))
            failure.__cause__ = cause
        self._failure = failure
        self._client.untrack(self)
        self._reject(failure)
        if not self._ready.done():
            self._ready.set_exception(failure)
        self._on_error.call(failure)
        self._set_status(IDLE)

    def _reject_sent(self, failure: BaseException) -> None:
        for action_id, reply in list(self._pending.items()):
            if action_id not in self._queued and not reply.done():
                reply.set_exception(failure)

    def _reject(self, failure: BaseException) -> None:
        self._queued.clear()
        self._reject_sent(failure)
        if self._disposed and not self._ready.done():
            self._ready.set_exception(failure)

    def _set_status(self, status: str) -> None:
        before, self.status = self.status, status
        if status == before:
            return
        self._on_status.call(status)
        if status == CONNECTED:
            if not self._ready.done():
                self._ready.set_result(None)
            self._on_open.call()
        elif before == CONNECTED:
            self._on_close.call()


def _consume(future: asyncio.Future[None]) -> None:
    if not future.cancelled():
        future.exception()
