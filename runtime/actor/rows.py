"""Names of the rows in the one table that several parts of an actor share; all other tables belong to one part each, beside their codec.

Together in one place, so that nobody takes a key twice: every part writes its row into the same batch, and one would replace the other's.
"""

from __future__ import annotations

ACTOR_TABLE = "actor"
INIT_KEY = b"init"
"""Whether the first start is complete, and the creation input (START-018)."""
STATE_KEY = b"state"
INSPECTOR_TOKEN_KEY = b"inspector"
RUN_WAKE_KEY = b"run_wake"
"""When the run handler must be active again (RUN-012)."""
ALARM_KEY = b"alarm"
"""The alarm that the host was told last, so that a start need not tell it again."""
