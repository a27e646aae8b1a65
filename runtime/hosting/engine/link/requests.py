"""Requests of this process to the engine, and the answers that they wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.hosting.engine.ports import LinkLostError, RefusedError
from runtime.hosting.engine.protocol.messages import CommitRequest, KvFailed, KvPut, KvRequest, PagesRequest, encode
from runtime.hosting.engine.protocol.pages import CommitPages, GetPages, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from runtime.hosting.engine.ports import Life
    from runtime.hosting.engine.protocol.messages import CommitResponse, KvResponse, PagesResponse

EXPIRY = 30.0
"""Seconds that a request may take, waiting for a connection included."""
_IDS = 2**32


class Request:
    """One request, whether it is on its way, and who waits for it."""

    __slots__ = ("deadline", "frame", "future", "life", "number", "repeatable", "sent")

    def __init__(
        self, number: int, message: PagesRequest | CommitRequest | KvRequest, life: Life | None, deadline: float, future: Future[Any]
    ) -> None:
        self.number = number
        self.frame = encode(message)
        self.life = life
        # A read, and a row that is written as it was, mean the same a second time. A commit may have been done: only who knows its head
        # can tell.
        self.repeatable = not isinstance(message, CommitRequest)
        self.deadline = deadline
        self.future = future
        self.sent = False


class Requests:
    """All that wait for an answer (ENGINE-060, ENGINE-062)."""

    def __init__(self) -> None:
        self._waiting: dict[int, Request] = {}
        self._last_id = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, data: GetPages | CommitPages | KvPut, actor_id: str, deadline: float, future: Future[Any]) -> Request:
        """A request that nobody else has the number of."""
        self._last_id = (self._last_id + 1) % _IDS
        while self._last_id in self._waiting:
            self._last_id = (self._last_id + 1) % _IDS
        number = self._last_id
        life = None if isinstance(data, KvPut) or data.generation is None else (actor_id, data.generation)
        message: PagesRequest | CommitRequest | KvRequest
        if isinstance(data, GetPages):
            message = PagesRequest(number, data)
        elif isinstance(data, CommitPages):
            message = CommitRequest(number, data)
        else:
            message = KvRequest(actor_id, number, data)
        request = self._waiting[number] = Request(number, message, life, deadline, future)
        return request

    def still_wanted(self, request: Request) -> bool:
        """Whether somebody waits for it yet."""
        return self._waiting.get(request.number) is request

    def unsent(self) -> Iterator[Request]:
        """Those that wait for a connection, oldest first."""
        return (request for request in list(self._waiting.values()) if not request.sent)

    def answer(self, answer: PagesResponse | CommitResponse | KvResponse) -> None:
        """Give an answer to who asked; one that nobody waits for any more is dropped."""
        request = self._waiting.pop(answer.request_id, None)
        if request is None:
            return
        data = answer.data
        if isinstance(data, KvFailed):
            data = Refused("kv", "failed", data.message)
        if isinstance(data, Refused):
            fail(request.future, RefusedError(data))
        elif request.future.set_running_or_notify_cancel():
            request.future.set_result(data)

    def disconnected(self) -> None:
        """The connection is gone: what can be asked again waits for the next, a commit that was sent fails."""
        for request in list(self._waiting.values()):
            if not request.sent:
                continue
            if request.repeatable:
                request.sent = False
            else:
                self._drop(request, "the connection went before the answer came")

    def fail(self, life: Life) -> None:
        """Fail those of one generation: the engine gave it up."""
        self._fail_where(lambda request: request.life == life, "the generation is lost")

    def fail_all(self, reason: str) -> None:
        """Fail every request."""
        self._fail_where(lambda _: True, reason)

    def expire(self, now: float) -> None:
        """Fail those that took too long."""
        self._fail_where(lambda request: now >= request.deadline, "there was no answer in time")

    def _fail_where(self, chosen: Callable[[Request], bool], reason: str) -> None:
        for request in [one for one in self._waiting.values() if chosen(one)]:
            self._drop(request, reason)

    def _drop(self, request: Request, reason: str) -> None:
        del self._waiting[request.number]
        fail(request.future, LinkLostError(reason))


def fail(future: Future[Any], error: Exception) -> None:
    """Tell who waits that it failed."""
    # Who waits on the loop of the host may have been cancelled.
    if future.set_running_or_notify_cancel():
        future.set_exception(error)
