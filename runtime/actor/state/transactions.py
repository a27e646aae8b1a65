"""State in a transaction of the database: one COMMIT for both (DB-180..187).

While such a transaction is open nothing is saved otherwise, and only its own code may change state. Which code that is says a context
variable, so tasks that the callback starts count as its own. All of it is paid for by these transactions alone: a change asks one attribute
more, and the copies that a rollback needs are made when one begins.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from runtime.errors import make_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.actor.state.saving import StateSaver
    from runtime.storage.base import Op

_INSIDE: ContextVar[object] = ContextVar("state_transaction", default=None)


class Guarded(Protocol):
    """The state, as a transaction sees it."""

    def reserve(self, guard: Callable[[], None] | None) -> None:
        """Ask `guard` before every change; None ends that."""


class StateTransactions:
    """The state-aware transactions of one actor, one at a time (DB-187).

    Args:
        state: Whose changes are refused to others.
        saver: Who knows what is to be saved.
        copies: Called at the beginning of each for what brings back the values of now.
    """

    def __init__(self, state: Guarded, saver: StateSaver, copies: Callable[[], Sequence[Callable[[], None]]]) -> None:
        self._state = state
        self._saver = saver
        self._copies = copies
        self.active: StateTransaction | None = None

    async def enter(self) -> StateTransaction:
        """Wait for the turn: until no save runs and no other such transaction is open. It must be closed."""
        await self._saver.pause()
        return StateTransaction(self, self._state, self._saver, self._copies)

    def check_saving(self) -> None:
        """Return unless a save is asked for inside (DB-184).

        Raises:
            ActorError: actor.state_transaction_conflict.
        """
        if self.active is not None and _INSIDE.get() is self.active:
            raise make_error("actor.state_transaction_conflict")


class StateTransaction:
    """One of them: `begin`, `rows`, then `committed` or `rolled_back`; what comes after the first of these two does nothing."""

    def __init__(
        self, owner: StateTransactions, state: Guarded, saver: StateSaver, copies: Callable[[], Sequence[Callable[[], None]]]
    ) -> None:
        self._owner = owner
        self._state = state
        self._saver = saver
        self._copies = copies
        self._restore: Sequence[Callable[[], None]] = ()
        self._over = False

    def begin(self) -> None:
        """From now on only the code of this transaction changes state (DB-182)."""
        if self._over:
            return
        self._restore = self._copies()
        self._owner.active = self
        self._state.reserve(self._check)

    def enter_context(self) -> Callable[[], None]:
        """Make what runs from here on the transaction's own; call the result to end that."""
        token = _INSIDE.set(self)
        return lambda: _INSIDE.reset(token)

    def rows(self) -> list[Op]:
        """Everything that is to be saved, for the one COMMIT (DB-180).

        Raises:
            Exception: Something of it has no stored form.
        """
        # Over before its end: the fence came, and with it others may save. The COMMIT fails.
        return [] if self._over else self._saver.collect()

    def committed(self) -> None:
        """The rows are durable."""
        self._end(ok=True)

    def rolled_back(self) -> None:
        """State is what it was when the transaction began (DB-181)."""
        self._end(ok=False)

    def _end(self, *, ok: bool) -> None:
        if self._over:
            return
        self._over = True
        if self._owner.active is self:
            self._owner.active = None
            self._state.reserve(None)
        self._saver.settle(ok=ok)
        if not ok:
            for restore in self._restore:
                restore()
        self._restore = ()
        self._saver.resume()

    def _check(self) -> None:
        if _INSIDE.get() is not self:
            raise make_error("actor.state_transaction_conflict")
