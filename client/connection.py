"""`Connection`: actions and events over one WebSocket that reconnects by itself (WIRE section 11.4)."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import websockets

from client.events import Listeners
from client.query import socket_protocols
from client.retry import RetryClass, classify, is_stale
from runtime.errors import ActorError, from_wire_error, make_error
from runtime.protocol.connection import decode_to_client, encode_to_server
from runtime.protocol.errors import DecodeError
from runtime.protocol.messages import ActionRequest, ActionResponse, ErrorFrame, Event, Init, SubscriptionRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from client.client import Client
    from client.query import ActorQuery
    from client.transport import Socket

IDLE, CONNECTING, CONNECTED, DISCONNECTED = "idle", "connecting", "connected", "disconnected"


class ConnectionDisposedError(Exception):
    """The connection was disposed (CONN-104)."""

    def __init__(self) -> None:
        super().__init__("Attempting to interact with a disposed actor connection.")


class ConnectionClosedError(Exception):
    """The socket closed for a reason that is no structured error; actions in flight are not resent."""

    def __init__(self, code: int | None, reason: str) -> None:
        super().__init__(f"Connection closed (code: {code}, reason: {reason})")
        self.code = code
        self.reason = reason


class Connection:
    """A live connection to one actor.

    Attributes:
        status: `idle`, `connecting`, `connected` or `disconnected` (WIRE-951).
        actor_id, connection_id: From the last `Init`; None before the first.
    """

    def __init__(self, client: Client, query: ActorQuery, params: Any, get_params: Any, *, skip_ready_wait: bool = False) -> None:
        self._client = client
        self._query = query
        self._params = params
        self._get_params = get_params
        self._skip = skip_ready_wait
        self.status = IDLE
        self.actor_id: str | None = None
        self.connection_id: str | None = None
        self._socket: Socket | None = None
        self._next_id = 0
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._queued: list[ActionRequest] = []
        self._events = Listeners()
        self._status_listeners: list[Callable[[str], object]] = []
        self._open_listeners: list[Callable[[], object]] = []
        self._close_listeners: list[Callable[[], object]] = []
        self._error_listeners: list[Callable[[BaseException], object]] = []
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ready.add_done_callback(_consume)
        self._disposed = False
        self._failure: BaseException | None = None
        self._outgoing: asyncio.Queue[bytes | str] = asyncio.Queue()
        self._task = asyncio.get_running_loop().create_task(self._run())
        client.track(self)

    # Calls.

    async def ready(self) -> None:
        """Wait for the first `connected`; raises what made the opening fail for good."""
        await asyncio.shield(self._ready)

    async def action(self, name: str, *args: Any) -> Any:
        """Call an action; before the connection is ready the call is queued (WIRE-954).

        Raises:
            ActorError: The action failed, or the connection ended with a structured error.
            ConnectionClosedError: The socket was lost; the call may or may not have run.
            ConnectionDisposedError: The connection was disposed.
        """
        if self._disposed:
            raise ConnectionDisposedError
        if self._failure is not None:
            raise self._failure
        request = ActionRequest(self._next_id, name, list(args))
        self._next_id += 1
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._pending[request.id] = reply
        if self.status == CONNECTED:
            self._outgoing.put_nowait(encode_to_server(request, self._client.config.encoding))
        else:
            self._queued.append(request)
        try:
            return await reply
        finally:
            self._pending.pop(request.id, None)
            if request in self._queued:
                self._queued.remove(request)

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
        if self.status == CONNECTED:
            self._outgoing.put_nowait(encode_to_server(SubscriptionRequest(event, subscribe), self._client.config.encoding))

    def on_status_change(self, listener: Callable[[str], object]) -> Callable[[], None]:
        """Call `listener(status)` on each change."""
        return _register(self._status_listeners, listener)

    def on_open(self, listener: Callable[[], object]) -> Callable[[], None]:
        """Call `listener()` on each `connected`; soon, when it is already (WIRE-952)."""
        if self.status == CONNECTED:
            asyncio.get_running_loop().call_soon(listener)
        return _register(self._open_listeners, listener)

    def on_close(self, listener: Callable[[], object]) -> Callable[[], None]:
        """Call `listener()` on leaving `connected`."""
        return _register(self._close_listeners, listener)

    def on_error(self, listener: Callable[[BaseException], object]) -> Callable[[], None]:
        """Call `listener(error)` for structured errors of the connection itself (WIRE-956, WIRE-957)."""
        return _register(self._error_listeners, listener)

    async def dispose(self) -> None:
        """End the connection: close with 1000 `Disposed`, reject what is pending; may be repeated (WIRE-962)."""
        if self._disposed:
            return
        self._disposed = True
        self._client.untrack(self)
        self._set_status(IDLE)
        socket = self._socket
        if socket is not None:
            await socket.close(1000, "Disposed")
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._reject_all(ConnectionDisposedError())

    async def __aenter__(self) -> Connection:
        await self.ready()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.dispose()

    # The life of the connection.

    async def _run(self) -> None:
        try:
            await self._client.ready()
            delays = self._client.policy.reconnect_delays()
            while not self._disposed:
                await asyncio.sleep(next(delays))
                self._set_status(CONNECTING)
                failure, opened = await self._attempt()
                if self._disposed:
                    return
                if opened:
                    # It was connected: start over with an immediate attempt. A denied subscription would loop, so it backs off (CONN-106).
                    delays = self._client.policy.reconnect_delays()
                    if isinstance(failure, ActorError) and failure.name == "auth.forbidden":
                        next(delays)
                elif not self._may_retry(failure):
                    self._fail(failure)
                    return
                self._set_status(DISCONNECTED)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, callers must not wait for ever
            self._fail(error)

    async def _attempt(self) -> tuple[BaseException, bool]:
        """One socket from opening to its end: why it ended, and whether it was ever connected."""
        try:
            params = self._params if self._get_params is None else await self._get_params()
        except Exception as error:  # noqa: BLE001 - the provider is user code
            failure = make_error("client.get_params_failed", reason=str(error))
            self._reject_all(failure)
            self._notify_error(failure)
            return failure, False
        try:
            socket = await self._open(params)
        except (OSError, websockets.WebSocketException) as error:
            return make_error("client.connection_open_failed", reason=str(error)), False
        self._socket = socket
        self._outgoing = asyncio.Queue()
        writer = asyncio.get_running_loop().create_task(self._write(socket, self._outgoing))
        opened = False
        error_frame: ActorError | None = None
        try:
            while (frame := await socket.receive()) is not None:
                message = self._decode(frame)
                if message is None:
                    await socket.close(1002, "undecodable frame")
                    break
                if isinstance(message, Init):
                    opened = True
                    await self._opened(message)
                elif isinstance(message, ErrorFrame) and message.action_id is None:
                    error_frame = from_wire_error(message.error)
                    if opened:
                        self._notify_error(error_frame)
                else:
                    self._deliver(message)
        finally:
            self._socket = None
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer
            if not self._disposed and socket.close_code is None:
                await socket.close()
        failure = error_frame or _close_error(socket.close_code, socket.close_reason)
        self._closed(failure, opened)
        return failure, opened

    async def _open(self, params: Any) -> Socket:
        config = self._client.config
        fixed = not self._query.is_dynamic
        offered = socket_protocols(str(config.encoding), params, skip_ready_wait=self._skip and fixed)
        url = self._query.url(config, "/connect", skip_ready_wait=self._skip)
        return await self._client.transport.open(url, offered, config.headers)

    def _decode(self, frame: bytes | str) -> Any:
        try:
            return decode_to_client(frame, self._client.config.encoding)
        except DecodeError as error:
            self._notify_error(error)
            return None

    async def _write(self, socket: Socket, outgoing: asyncio.Queue[bytes | str]) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                await socket.send(await outgoing.get())

    async def _opened(self, init: Init) -> None:
        self.actor_id, self.connection_id = init.actor_id, init.connection_id
        # `connected` is entered one turn after Init (WIRE-951).
        await asyncio.sleep(0)
        if self._disposed:
            return
        self._set_status(CONNECTED)
        if not self._ready.done():
            self._ready.set_result(None)
        for listener in list(self._open_listeners):
            listener()
        for event in self._events.names():
            self._subscribe(event, True)
        queued, self._queued = self._queued, []
        for request in queued:
            self._outgoing.put_nowait(encode_to_server(request, self._client.config.encoding))

    def _deliver(self, message: Any) -> None:
        if isinstance(message, Event):
            if self._events.emit(message.name, message.args):
                self._subscribe(message.name, False)
            return
        if isinstance(message, ActionResponse):
            reply = self._pending.get(message.id)
            if reply is not None and not reply.done():
                reply.set_result(message.output)
        elif isinstance(message, ErrorFrame) and message.action_id is not None:
            reply = self._pending.get(message.action_id)
            if reply is not None and not reply.done():
                reply.set_exception(from_wire_error(message.error))

    def _closed(self, failure: BaseException, opened: bool) -> None:
        """Reject what was in flight; queued calls stay (CONN-103)."""
        if self._disposed:
            return
        queued = {request.id for request in self._queued}
        for action_id, reply in list(self._pending.items()):
            if action_id not in queued and not reply.done():
                reply.set_exception(failure)
        if opened:
            if isinstance(failure, ActorError):
                self._notify_error(failure)
            for listener in list(self._close_listeners):
                listener()

    def _may_retry(self, failure: BaseException) -> bool:
        """Whether an opening that failed before `Init` is repeated (WIRE-959)."""
        if isinstance(failure, ConnectionClosedError):
            return True
        if not isinstance(failure, ActorError):
            return False
        if failure.name in ("client.get_params_failed", "client.connection_open_failed"):
            return True
        if is_stale(failure) and failure.code != "destroying" and self._query.is_dynamic:
            return True
        return classify(failure) is not RetryClass.NEVER

    def _fail(self, failure: BaseException) -> None:
        """Give up for good: later calls get the stored error (CONN-105)."""
        self._failure = failure
        self._queued.clear()
        self._reject_all(failure)
        if not self._ready.done():
            self._ready.set_exception(failure)
        self._notify_error(failure)
        self._set_status(IDLE)

    def _reject_all(self, failure: BaseException) -> None:
        for reply in list(self._pending.values()):
            if not reply.done():
                reply.set_exception(failure)
        if self._disposed and not self._ready.done():
            self._ready.set_exception(failure)

    def _notify_error(self, error: BaseException) -> None:
        for listener in list(self._error_listeners):
            listener(error)

    def _set_status(self, status: str) -> None:
        if status != self.status:
            self.status = status
            for listener in list(self._status_listeners):
                listener(status)

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        if name.startswith("_"):
            raise AttributeError(name)
        from client.handle import ActionCaller

        return ActionCaller(self, name)


def _close_error(code: int | None, reason: str) -> BaseException:
    """`group.code[#ray]` in a close reason is a structured error (WIRE-540, WIRE-957)."""
    identity = reason.partition("#")[0]
    group, dot, name = identity.partition(".")
    if dot and group and name and " " not in identity:
        return ActorError(group, name, f"Connection closed: {reason}", public=True)
    return ConnectionClosedError(code, reason)


def _register(listeners: list[Any], listener: Any) -> Callable[[], None]:
    listeners.append(listener)
    return lambda: listeners.remove(listener) if listener in listeners else None


def _consume(future: asyncio.Future[None]) -> None:
    if not future.cancelled():
        future.exception()
