"""One pending schedule, and its row."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from runtime.actor.schedule.cron import CronSpec
from runtime.protocol import cbor
from runtime.protocol.cbor_heads import STORED
from runtime.protocol.storable import check_storable
from runtime.protocol.values import from_wire, to_wire
from runtime.storage.base import Delete, Put

TABLE = "schedule"


@dataclass(frozen=True, slots=True)
class Schedule:
    """One pending schedule; times are epoch milliseconds. `spec` is None for a one-shot."""

    id: str
    action: str
    args: list[Any]
    trigger_at: int
    spec: CronSpec | None = None
    last_run_at: int | None = None
    max_history: int = 100

    def check(self) -> None:
        """Return if there can be a row of it; raises `Unstorable` for an action name or arguments that cannot be kept (TASK-214)."""
        check_storable(self.action)
        check_storable(self.args)

    def put(self) -> Put:
        """The schedule as a row."""
        body = {
            "action": self.action,
            # Through the compat layer: large integers and `UNDEFINED` have no CBOR form of their own (TASK-214).
            "args": [to_wire(item) for item in self.args],
            "trigger_at": self.trigger_at,
            "spec": None if self.spec is None else asdict(self.spec),
            "last_run_at": self.last_run_at,
            "max_history": self.max_history,
        }
        return Put(TABLE, self.id.encode(), cbor.dumps_exact(body))

    @classmethod
    def load(cls, key: bytes, value: bytes) -> Schedule:
        """The inverse of `put`."""
        body = cbor.loads(value, STORED)
        spec = body["spec"]
        args = [from_wire(item) for item in body["args"]]
        return cls(
            key.decode(), body["action"], args, int(body["trigger_at"]), None if spec is None else CronSpec(**spec),
            body["last_run_at"], body["max_history"],
        )  # fmt: skip


def deletion(schedule_id: str) -> Delete:
    """Removal of the row."""
    return Delete(TABLE, schedule_id.encode())
