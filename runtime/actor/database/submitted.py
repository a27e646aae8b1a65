"""The result of a call that is already on its way."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

T = TypeVar("T")


# A coroutine class and not just the future: `create_task` refuses futures, and user code rightly takes the result of an `execute` for a
# coroutine. A plain coroutine in turn would start when it is awaited, so that the order of two calls would depend on who awaits first.
class Submitted(Coroutine[Any, Any, T], Generic[T]):
    """Awaitable of work that was submitted when the call was made, not when it is awaited.

    So statements issued without awaiting each other keep the order of the calls. It may be awaited, gathered, or given to
    `asyncio.create_task` like the coroutine it looks like. Cancelling it takes work back that has not started.
    """

    __slots__ = ("_future", "_steps")

    def __init__(self, future: asyncio.Future[T]) -> None:
        self._future = future
        self._steps: Generator[Any, None, T] | None = None

    @classmethod
    def of(cls, submit: Callable[[], asyncio.Future[T]]) -> Submitted[T]:
        """Submit now; an error of the submission is raised where the result is awaited."""
        try:
            return cls(submit())
        except Exception as error:
            failed: asyncio.Future[T] = asyncio.get_running_loop().create_future()
            failed.set_exception(error)
            return cls(failed)

    def __await__(self) -> Generator[Any, None, T]:
        return self._future.__await__()

    def send(self, value: Any) -> Any:
        """Coroutine protocol, used by `asyncio.create_task`."""
        return self._generator().send(value)

    def throw(self, *error: Any) -> Any:
        """Coroutine protocol, used by cancellation."""
        return self._generator().throw(*error)

    def close(self) -> None:
        """Coroutine protocol: nobody will await it any more."""
        self._generator().close()

    def cancel(self) -> bool:
        """Take the work back if it has not started."""
        return self._future.cancel()

    def done(self) -> bool:
        """Whether the result is there."""
        return self._future.done()

    def _generator(self) -> Generator[Any, None, T]:
        if self._steps is None:
            self._steps = self._future.__await__()
        return self._steps
