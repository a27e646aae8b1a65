"""The thread of the link: one connection after another, and the clock between them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from random import SystemRandom
from typing import TYPE_CHECKING

import structlog
from websockets.exceptions import WebSocketException

from runtime.hosting.engine.link.backoff import Backoff
from runtime.hosting.engine.link.boottime import boottime
from runtime.hosting.engine.link.handshake import Address, Farewell
from runtime.hosting.engine.link.session import Session
from runtime.logs import LimitedLogger, error_fields

if TYPE_CHECKING:
    from concurrent.futures import Future

    from runtime.hosting.engine.link.conversation import Conversation
    from runtime.hosting.engine.link.settings import Settings

log = LimitedLogger(structlog.get_logger("runtime.engine"))
_random = SystemRandom()
SHUT_DOWN = "this process is shutting down"


class LinkThread:
    """Keeps the conversation going until it is closed or evicted (ENGINE-053).

    A loop of its own, in a thread of its own: pongs must not wait for code of users on the loop of the host. Without one for 15 seconds the
    engine closes the connection, and soon after all actors of the process are lost (ENGINE-055, ENGINE-231).

    Args:
        address: Where to connect.
        conversation: What is said; only touched on this thread.
        settings: Durations.
        finished: Done when the thread has nothing more to do.
    """

    def __init__(self, address: Address, conversation: Conversation, settings: Settings, finished: Future[None]) -> None:
        self.loop = asyncio.new_event_loop()
        self.farewell = Farewell(None, "there was no attempt to connect")
        self.sessions = 0
        self._address = address
        self._conversation = conversation
        self._settings = settings
        self._finished = finished
        self._backoff = Backoff(settings.backoff, settings.stable)
        self._session: Session | None = None
        self._closing = asyncio.Event()
        # A daemon: a program that forgot to close the link can end all the same.
        self._thread = threading.Thread(target=self._main, name="envoy-link", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self) -> None:
        """Wait for the end."""
        self._thread.join()

    def close(self) -> None:
        """Write what is queued, say goodbye and end. Called on this thread (ENGINE-200, ENGINE-203)."""
        self._closing.set()

    def _main(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
                runner.run(self._run())
        # A fault of ours that nothing follows: who hosts must not believe in a link that is gone.
        except BaseException as error:
            log.error("the link to the engine broke", **error_fields(error))
            self._conversation.evicted(f"the link broke: {error!r}")
        finally:
            self._finished.set_result(None)

    async def _run(self) -> None:
        helpers = [asyncio.create_task(self._tick()), asyncio.create_task(self._close())]
        try:
            while not self._closing.is_set():
                self.farewell = await self._connection()
                self._session = None
                if self.farewell.evicted:
                    log.error("another process took the key of this envoy", reason=str(self.farewell))
                    self._conversation.evicted(str(self.farewell))
                    return
                if not self._closing.is_set():
                    await self._pause()
        finally:
            self._conversation.ended(SHUT_DOWN)
            for task in helpers:
                task.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)

    async def _connection(self) -> Farewell:
        try:
            session = await self._open()
            if session is None:
                return Farewell(None, SHUT_DOWN)
            self.sessions += 1
            self._session = session
            return await session.run()
        except (OSError, EOFError, WebSocketException) as error:
            return Farewell(None, str(error) or type(error).__name__)
        # A fault of ours: a new connection is the best that can be made of it.
        except Exception as error:
            log.error("a connection to the engine failed", **error_fields(error))
            return Farewell(None, repr(error))

    async def _open(self) -> Session | None:
        """A connection; None if the link is closed meanwhile."""
        opening = asyncio.ensure_future(Session.open(self._address, self._conversation, self._settings.connect))
        closing = asyncio.ensure_future(self._closing.wait())
        await asyncio.wait((opening, closing), return_when=asyncio.FIRST_COMPLETED)
        closing.cancel()
        if opening.done() and not self._closing.is_set():
            return opening.result()
        opening.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError, EOFError, WebSocketException):
            await (await opening).close()
        return None

    async def _pause(self) -> None:
        now = boottime()
        self._conversation.disconnected(now)
        self._backoff.ended(self._conversation.init_at, now)
        wait = self._backoff.next(self._conversation.patience, _random.random())
        log.warning("no connection to the engine", reason=str(self.farewell), retry_in=round(wait, 3))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), wait)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._settings.tick)
            now = boottime()
            reason = self._conversation.overdue(now)
            if reason is not None and self._session is not None:
                self._session.cut(reason)
            self._conversation.tick(now)

    async def _close(self) -> None:
        await self._closing.wait()
        session = self._session
        if session is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.flush):
                await session.drained()
        await session.close()
