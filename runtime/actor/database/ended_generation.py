"""What happens to code that uses the database of a generation that is over (DB-307, DB-308)."""

from __future__ import annotations

DATABASE_CLOSED = (
    "Database is closed. This usually means a background timer (setInterval, setTimeout) or a stray promise is still running after the "
    "actor stopped. Use c.abortSignal to clean up timers before the actor shuts down."
)


class DatabaseClosedError(RuntimeError):
    """The database of an ended generation was used (DB-307, DB-308)."""

    def __init__(self) -> None:
        super().__init__(DATABASE_CLOSED)
        # The text is that of the peer, for clients in any language; who reads the traceback writes Python.
        self.add_note(
            "In Python: a task or callback of your own outlived its actor; start it with c.keep_awake() or let it watch c.abort_signal."
        )
