"""One inspector WebSocket: opening, `Init`, requests in order of arrival, pushes (section 13).

The session is a child of the generation that holds nothing: it neither keeps the actor awake nor counts as a connection, and the stop
path cancels it, which closes the socket with 1000 `actor.stopped` (INSP-138, INSP-139).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from runtime.actor.connections.sockets import STOPPED_REASON, byte_size
from runtime.actor.lifecycle.tracked_work import WorkKind
from runtime.errors import ActorError, said_by
from runtime.inspector import messages as m
from runtime.inspector import snapshots
from runtime.inspector.actor_view import ActorView
from runtime.inspector.answers import answer
from runtime.inspector.pushes import Pushes
from runtime.inspector.token import header_token
from runtime.inspector.versions import decode_request, encode_message, parse_version
from runtime.protocol.decode_errors import DecodeError
from runtime.protocol.payload import text_of
from runtime.protocol.subprotocols import INSPECTOR_TOKEN_PREFIX

if TYPE_CHECKING:
    from runtime.actor.connections.sockets import ActorSocket, Upgrade
    from runtime.inspector.ports import InspectedActor

CONNECT_PATH = "/inspector/connect"
MAX_WAITING = 1024
"""Requests of one socket that may wait for their turn."""
READ_AHEAD = 16
READ_AHEAD_BYTES = 256 * 1024
"""From so many of them on the client is not read, where its end can be told to wait."""

INVALID_VERSION = 1002, "inspector.invalid_protocol_version"
UNAUTHORIZED = 1008, "inspector.unauthorized"
INIT_ERROR = 1011, "inspector.init_error"
FAILED = 1011, "core.internal_error"
STOPPED = 1000, STOPPED_REASON


def is_inspector(upgrade: Upgrade) -> bool:
    """Whether an upgrade asks for the inspector (INSP-130)."""
    return urlsplit(upgrade.request.url).path == CONNECT_PATH


async def open_inspector(actor: InspectedActor, socket: ActorSocket) -> None:
    """Admit an inspector socket or close it with the reason why not.

    Raises:
        ActorError: The generation takes no work any more; the next one may.
    """
    actor.accepting()
    view = ActorView(actor)
    version, valid = _version(socket.upgrade)
    if not valid:
        # Before the token: a client that speaks another protocol could not even read why it was refused (INSP-132).
        socket.close(*INVALID_VERSION)
        return
    with actor.work.region(WorkKind.HTTP):  # restarts the idle timer
        if not await view.is_open_to(_token(socket.upgrade)):
            socket.close(*UNAUTHORIZED)
            return
        # The look at the token may have awaited storage, and a stop may have begun meanwhile.
        actor.accepting()
        session = InspectorSession(view, socket, version)
        # Requests that came first wait behind the first message (INSP-137).
        actor.work.adopt(session.run())


def _version(upgrade: Upgrade) -> tuple[int | None, bool]:
    """The asked-for version, None for the legacy form; and whether it is one (INSP-130, INSP-132, INSP-136)."""
    given = parse_qs(urlsplit(upgrade.request.url).query, keep_blank_values=True).get("protocol_version")
    if given is None:
        return None, True
    version = parse_version(given[-1])
    return version, version is not None


def _token(upgrade: Upgrade) -> str | None:
    """The offered token: a sub-protocol entry, else the header (INSP-131)."""
    return upgrade.protocol_value(INSPECTOR_TOKEN_PREFIX) or header_token(upgrade.request.headers.get("authorization"))


class InspectorSession:
    """The actor's end of one inspector socket. `version` is None for frames that carry theirs."""

    def __init__(self, view: ActorView, socket: ActorSocket, version: int | None) -> None:
        self._view = view
        self._socket = socket
        self._version = version
        self._waiting: asyncio.Queue[bytes | str] = asyncio.Queue(MAX_WAITING)
        self._waiting_bytes = 0
        self._closed = asyncio.Event()
        self._pushes: Pushes | None = None

    async def run(self) -> None:
        """Serve the socket until the client or the generation is gone."""
        self._socket.attach(self, hibernatable=False)
        # Two tasks, because the client may leave while a request of it is still being answered.
        serving = asyncio.create_task(self._serve())
        ended = asyncio.create_task(self._closed.wait())
        try:
            await asyncio.wait({serving, ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if self._pushes is not None:
                self._pushes.remove(self.send)
            for child in (serving, ended):
                child.cancel()
            failed, _ = await asyncio.gather(serving, ended, return_exceptions=True)
            # Requests fail with an answer: what ended the service itself is a fault of ours, and must not look like a stop.
            if isinstance(failed, Exception):
                self._view.log.error("inspector socket failed", error=repr(failed))
                self._socket.close(*FAILED)
            # For a client that left this does nothing; otherwise the generation is what ended (INSP-138).
            self._socket.close(*STOPPED)

    # The gateway's side.

    def on_message(self, index: int, data: str | bytes) -> None:
        """Take one request."""
        try:
            self._waiting.put_nowait(data)
        # Answered and not closed: a tool that asks too fast should be able to go on.
        except asyncio.QueueFull:
            self.send(m.Error("too many inspector requests are waiting"))
        else:
            self._waiting_bytes += byte_size(data)
            if self._behind():
                self._socket.hold()

    def on_close(self, code: int, reason: str) -> None:
        """The client is gone."""
        self._closed.set()

    def send(self, message: m.Message) -> None:
        """Queue a message in the version of this socket."""
        frame = encode_message(message, self._version)
        # Some pushes do not exist in older versions and are left out (INSP-172).
        if frame is not None:
            self._socket.send(frame)

    # Requests.

    async def _serve(self) -> None:
        try:
            history = await self._view.workflow_history()
            # No await from here to the registration: nothing that changes in between is missed.
            self.send(snapshots.init(self._view, history))
        # The client can do nothing about it, and an error message before `Init` is nothing it expects.
        except Exception as error:
            self._view.log.error("inspector could not build its first message", error=repr(error))
            self._socket.close(*INIT_ERROR)
            return
        self._pushes = Pushes.of(self._view)
        self._pushes.add(self.send)
        while True:
            data = await self._waiting.get()
            self._waiting_bytes -= byte_size(data)
            if not self._behind():
                self._socket.resume()
            await self._handle(data)

    def _behind(self) -> bool:
        return self._waiting.qsize() >= READ_AHEAD or self._waiting_bytes >= READ_AHEAD_BYTES

    async def _handle(self, data: bytes | str) -> None:
        """Answer one request; failures are messages, and the socket stays open (INSP-151)."""
        try:
            if isinstance(data, str):
                raise DecodeError("an inspector message must be a binary frame")
            request = decode_request(data, self._version)
            with self._view.working():
                self.send(await answer(self._view, request))
        except Exception as error:
            self.send(m.Error(text_of(_text(error))))


def _text(error: Exception) -> str:
    """What went wrong; an inspector sees the cause behind masked errors, too."""
    if not isinstance(error, ActorError):
        return said_by(error)
    cause = error.metadata.get("error") if isinstance(error.metadata, dict) else None
    return error.message if cause is None else f"{error.message}: {cause}"
