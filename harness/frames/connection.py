"""One `/connect` socket, frame by frame."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.codec.errors import SchemaError
from harness.codec.frames import decode_to_client, encode_to_server
from harness.codec.messages import ActionRequest, ActionResponse, ErrorFrame, Event, Init, SubscriptionRequest
from harness.errors import HarnessError, SchemaViolation, TimingMissed
from harness.frames.match import count, difference, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from client.web_socket import Socket

FENCE = "conform.noSuchAction"
"""Nobody declares an action of this name, so asking for it does nothing but bring an answer."""
# Far above what tests count from, so that an answer to a fence is told from theirs by its number alone.
_FIRST_FENCE = 2**63
_fences = itertools.count(_FIRST_FENCE)
# For what the target makes without being asked; whatever was under way has come before the fence.
QUIET = 0.25
"""Seconds of silence after the fence in which nothing may come."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One frame: its loop time, its direction, its bytes or text, and what it says (None for raw frames that the test sent)."""

    at: float
    sent: bool
    data: bytes | str
    message: Any


class Frames:
    """An open `/connect` socket.

        async with conform.frames(actor) as socket:
            await socket.subscribe("newCount")
            await socket.request(1, "increment", 5)
            await socket.exactly(Event("newCount", [5]), ActionResponse(1, 5))

    Frames are read when the test asks for them: a socket that is not read is a slow client.

    Attributes:
        transcript: every frame so far, both directions.
        received: every message that was read, decoded.
        init: the accepting message; `HarnessError` before it came.
    """

    def __init__(self, socket: Socket, encoding: str, limit: Callable[[float], float]) -> None:
        """Made by `conform.frames`; `limit` scales a wait for the target."""
        self.transcript: list[Seen] = []
        self._socket = socket
        self._encoding = encoding
        self._limit = limit
        self._checked = 0
        self._accepted: Init | None = None

    @property
    def received(self) -> list[Any]:
        """The messages read so far, without the answers to fences."""
        return [seen.message for seen in self.transcript if not seen.sent and not _is_fence(seen.message)]

    @property
    def init(self) -> Init:
        """The accepting message."""
        if self._accepted is None:
            raise HarnessError("the connection was not accepted yet: no Init was read")
        return self._accepted

    async def accept(self) -> None:
        """Read on to `Init`, which `exactly` does not ask for then; what came before it is still to be explained.

        Raises:
            AssertionError: the connection was refused.
        """
        self._accepted = await self.until(Init)
        assert self._accepted is not None, f"the connection was refused\n{self.told()}"

    @property
    def close(self) -> tuple[int | None, str]:
        """Close code and reason; (None, "") while the socket is open."""
        return self._socket.close_code, self._socket.close_reason

    async def send(self, message: ActionRequest | SubscriptionRequest | bytes | str) -> None:
        """Send a message, or a frame of these bytes or this text whatever they mean."""
        # Kept apart in the transcript: a raw frame need not mean anything, so nothing is decoded of it.
        raw = isinstance(message, bytes | str)
        data = message if isinstance(message, bytes | str) else encode_to_server(message, self._encoding)
        self.transcript.append(Seen(_now(), True, data, None if raw else message))
        await self._socket.send(data)

    async def request(self, action_id: int, name: str, *args: Any) -> None:
        """Send an action request; its answer is just one of the messages."""
        await self.send(ActionRequest(action_id, name, list(args)))

    async def subscribe(self, event: str) -> None:
        """Send a subscription."""
        await self.send(SubscriptionRequest(event, True))

    async def unsubscribe(self, event: str) -> None:
        """Send the end of a subscription."""
        await self.send(SubscriptionRequest(event, False))

    async def receive(self) -> Any:
        """The next message, None when the socket is closed.

        Raises:
            SchemaViolation: a frame of the target that no schema allows.
        """
        # Only when somebody asks: a reader in the background would make a fast client of every test about slow ones.
        data = await self._socket.receive()
        if data is None:
            return None
        try:
            message = decode_to_client(data, self._encoding)
        except SchemaError as error:
            raise SchemaViolation(f"the target sent what no schema allows: {self._encoding} frame: {error}") from None
        self.transcript.append(Seen(_now(), False, data, message))
        return message

    async def until(self, kind: type) -> Any:
        """Read on to the first message of this kind; None at the end."""
        while (message := await self.receive()) is not None:
            if isinstance(message, kind):
                return message
        return None

    async def answer(self, action_id: int) -> Any:
        """Read on to the answer with this id, a response or an error; None at the end."""
        while (message := await self.receive()) is not None:
            if _answered(message) == action_id:
                return message
        return None

    async def wait_closed(self) -> tuple[int | None, str]:
        """Read to the end; close code and reason."""
        while await self.receive() is not None:
            continue
        return self.close

    def events(self, name: str) -> list[list[Any]]:
        """The arguments of each event of this name that was read."""
        return [message.args for message in self.received if isinstance(message, Event) and message.name == name]

    async def exactly(self, *expected: Any, within: float = 5.0, fence: bool = True, closed: tuple[int, str] | None = None) -> list[Any]:
        """All that came since the last `exactly` is this and no other, and nothing follows; at first all since the socket opened.

        The `Init` that `accept` read is not asked for.

        That nothing follows is proved by a fence, an action request that nobody serves: frames keep their order, so what was on its way
        before its answer comes before it. A moment of silence follows, for what was still to be made.

        Args:
            expected: What `matches` takes, or `in_any_order(...)` of it.
            within: Seconds until the last one must be there.
            fence: False when a request would change what is looked at, such as the idle time of the actor; then only the silence tells.
            closed: The socket must then be closed with this code and reason; nothing can follow, so no fence is sent.

        Returns:
            The messages.

        Raises:
            AssertionError: something else came, or too much, or the socket ended before.
            TimingMissed: too little came in time.
        """
        try:
            async with asyncio.timeout(self._limit(within)):
                await self._read(count(expected), fence=fence and closed is None, to_end=closed is not None)
        except TimeoutError:
            came = self._unexplained()
            lacking = "the socket is still open" if closed else "the fence was not answered"
            # A wrong message is wrong however late it is; only one that is missing may be blamed on time.
            late = difference(expected, came) or lacking
            complaint = f"{late} (after {self._limit(within):g} s)\n{self.told()}"
            raise (TimingMissed if late.startswith(("missing", lacking)) else AssertionError)(complaint) from None
        came = self._unexplained()
        wrong = difference(expected, came)
        if wrong is None and closed is not None and self.close != closed:
            wrong = f"the socket was closed with {self.close}, expected {closed}"
        assert wrong is None, f"{wrong}\n{self.told()}"
        # Only after it was right: a test that goes on after a failed look sees the same messages again.
        self._checked = len(self.received)
        return came

    def _unexplained(self) -> list[Any]:
        return [message for message in self.received[self._checked :] if message is not self._accepted]

    async def _read(self, expected: int, *, fence: bool, to_end: bool) -> None:
        while to_end or len(self._unexplained()) < expected:
            if await self.receive() is None:
                return
        if fence:
            await self._fence()
        try:
            async with asyncio.timeout(QUIET):
                while await self.receive() is not None:
                    continue
        except TimeoutError:
            return

    async def _fence(self) -> None:
        number = next(_fences)
        await self.request(number, FENCE)
        while (message := await self.receive()) is not None:
            if _answered(message) == number:
                return

    def told(self) -> str:
        """The transcript, one line per frame."""
        began = self.transcript[0].at if self.transcript else 0.0
        lines = [
            f"  {seen.at - began:8.3f} {'->' if seen.sent else '<-'} {shown(seen.data if seen.message is None else seen.message)}"
            for seen in self.transcript
        ]
        closed = [] if self.close[0] is None else [f"  closed {self.close[0]} {self.close[1]}".rstrip()]
        return "\n".join(["all frames of this socket:", *lines, *closed])

    def abort(self) -> None:
        """Vanish without a close frame."""
        self._socket.abort()


def _answered(message: Any) -> int | None:
    if isinstance(message, ErrorFrame):
        return message.action_id
    return message.id if isinstance(message, ActionResponse) else None


def _is_fence(message: Any) -> bool:
    return (_answered(message) or 0) >= _FIRST_FENCE


def _now() -> float:
    return asyncio.get_running_loop().time()
