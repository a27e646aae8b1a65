"""What is called from within the callback of a transaction of the database is part of that transaction (DB-029).

Such a call cannot wait for its own commit: the transaction waits for its callback. So it leaves its rows with the transaction and returns;
what it promised happens behind the COMMIT, or not at all. Which calls come from within says a context variable, so tasks that the callback
starts count as its own. A part asks for it by name where its API is called, and never where it commits: timers and writes of the runtime
that happen to be started within a callback are not its doing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.storage.base import Op


class Part(Protocol):
    """Something that a transaction commits with its SQL. Of the two ends one comes; neither raises."""

    def rows(self) -> Sequence[Op]:
        """What to write in the one COMMIT, asked for when the callback has ended."""
        ...

    def committed(self) -> None:
        """The rows are durable; nobody who waited has had his turn yet."""

    def rolled_back(self) -> None:
        """They were not written and will not be."""


Join = Callable[[Part], None]
"""Has a transaction commit and roll back a part with it; raises what its next statement would, when it has ended meanwhile."""


@dataclass(frozen=True, slots=True)
class JoinedRows:
    """Rows that are known at the call, and what follows."""

    ops: Sequence[Op]
    on_commit: Callable[[], None]
    on_rollback: Callable[[], None]

    def rows(self) -> Sequence[Op]:
        """The rows."""
        return self.ops

    def committed(self) -> None:
        """What was promised happens."""
        self.on_commit()

    def rolled_back(self) -> None:
        """Everything is as it was."""
        self.on_rollback()


class Inside:
    """One callback, in the contexts of its tasks. Some of them may be kept for long, so it is emptied when the callback ends.

    Args:
        gate: Tells the databases of different actors apart.
        join: Of the transaction.
    """

    __slots__ = ("_gate", "_join")

    def __init__(self, gate: object, join: Join) -> None:
        self._gate: object | None = gate
        self._join: Join | None = join

    def leave(self) -> None:
        """The callback has ended."""
        self._gate = self._join = None

    def of(self, gate: object) -> Join | None:
        """The transaction, when it is one behind this gate."""
        return self._join if self._gate is gate else None


INSIDE: ContextVar[Inside | None] = ContextVar("transaction", default=None)


def joinable(gate: object) -> Join | None:
    """The transaction behind this gate from whose callback this is called; None from anywhere else."""
    inside = INSIDE.get()
    return None if inside is None else inside.of(gate)


def outside() -> Context | None:
    """A context for what the runtime starts by itself, where that is called from within a callback; None where the one of now will do."""
    if INSIDE.get() is None:
        return None
    context = copy_context()
    context.run(INSIDE.set, None)
    return context
