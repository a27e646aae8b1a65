"""The recorded history of one workflow: entries by location, in memory, with what still has to be flushed.

The whole history of a workflow is in memory while its actor lives: pruning keeps it small (WF-076), and a pass looks up every entry.
Rows (table `workflow`): `n<index>` name registry, `e<id>` entry, `m<id>` metadata, `s` state, `o` output, `x` error,
`u` whether the error is unreported, `f` whether it is a failure that the workflow was built to have.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runtime import clock
from runtime.protocol.cbor_heads import STORED
from runtime.protocol.decode_errors import reading
from runtime.protocol.payload import blob, load_value
from runtime.protocol.storable import check_storable
from runtime.protocol.values import UNDEFINED
from runtime.storage.base import Delete, Op, Put
from runtime.workflow.errors import HistoryDivergedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TABLE = "workflow"
MAX_VALUE = 262_144
MAX_ROWS = 128
MAX_FLUSH = 524_288
_AROUND = 4
"""The row, its data, the branches and the branch: the most that stands around a value."""

Location = tuple[str | int, ...]
"""Names from the root; an integer is an iteration of the loop named before it."""

PENDING, RUNNING, COMPLETED, FAILED, EXHAUSTED = "pending", "running", "completed", "failed", "exhausted"


def path_text(location: Location) -> str:
    """The location as messages show it: `orders/~3/charge` (WF-030)."""
    return "/".join(f"~{item}" if isinstance(item, int) else item for item in location)


def encode(value: Any, *, around: int = 0) -> bytes:
    """A durable workflow value; raises `Unstorable` for what is none. `around`: containers of our own that the row puts around values."""
    check_storable(value, -around)
    return blob(value)


def decode(data: bytes) -> Any:
    """The inverse of `encode`."""
    return load_value(data, limits=STORED)


def copied(value: Any) -> Any:
    """A value as storage will give it back: what is done to it later shows in no recorded result, and the other way round (WF-022)."""
    # Most results are texts and numbers, which nobody can change.
    return value if value is None or isinstance(value, (str, bytes, int, float)) else decode(encode(value))


@dataclass(slots=True)
class Metadata:
    """Attempts and times of a step or loop; times are epoch milliseconds.

    `kind` is the kind of a terminal failure, `details` the scalar own fields of the last error (WF-061).
    """

    status: str = PENDING
    error: str | None = None
    attempts: int = 0
    last_attempt_at: int = 0
    created_at: int = 0
    completed_at: int | None = None
    rollback_completed_at: int | None = None
    rollback_error: str | None = None
    kind: str | None = None
    details: dict[str, Any] | None = None


@dataclass(slots=True)
class Entry:
    """One durable operation. `kind` is a kind of section 4 of the specification, `data` its own fields."""

    id: str
    location: Location
    kind: str
    data: dict[str, Any]
    order: int
    meta: Metadata | None = None


@dataclass(slots=True)
class Outcome:
    """State, output and error of the workflow as a whole (WF-026, WF-185).

    `unreported`: the error is still to be reported (WF-171). `built_in`: it is one of those that end the run handler normally (WF-181).
    """

    state: str = PENDING
    output: Any = UNDEFINED
    error: dict[str, Any] | None = None
    unreported: bool = False
    built_in: bool = False


class FlushTooLargeError(Exception):
    """A value or a flush is over its limit (WF-141, WF-142)."""


@dataclass(slots=True)
class History:
    """Entries, names and outcome, with dirty marks. Pure: `take_changes` gives the batch, the caller commits it."""

    entries: dict[Location, Entry] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)
    outcome: Outcome = field(default_factory=Outcome)
    _dirty: dict[str, Entry] = field(default_factory=dict)
    _new_names: list[str] = field(default_factory=list)
    _outcome_dirty: bool = False
    _deleted: list[Entry] = field(default_factory=list)
    _order: int = 0

    @classmethod
    def load(cls, rows: Iterable[tuple[bytes, bytes]]) -> History:
        """Rebuild from storage rows; raises `DecodeError` for damaged ones."""
        with reading("the workflow"):
            return cls._load(rows)

    @classmethod
    def _load(cls, rows: Iterable[tuple[bytes, bytes]]) -> History:
        history = cls()
        by_id: dict[str, Entry] = {}
        metas: dict[str, Metadata] = {}
        for key, value in rows:
            tag, rest, item = key[:1], key[1:].decode(), decode(value)
            if tag == b"n":
                history.names[item] = int(rest)
            elif tag == b"e":
                entry = Entry(rest, tuple(item["location"]), item["kind"], item["data"], item["order"])
                by_id[rest] = entry
                # Not the number of entries: deleted ones leave gaps, and a new entry must not come before an old one.
                history._order = max(history._order, entry.order + 1)
            elif tag == b"m":
                metas[rest] = Metadata(**item)
            elif tag == b"s":
                history.outcome.state = item
            elif tag == b"o":
                history.outcome.output = item
            elif tag == b"x":
                history.outcome.error = item
            elif tag == b"u":
                history.outcome.unreported = item
            elif tag == b"f":
                history.outcome.built_in = item
        # Storage gives rows by id. Replay and rollback ask for the order in which things were recorded.
        for entry in sorted(by_id.values(), key=lambda item: item.order):
            entry.meta = metas.get(entry.id)
            history.entries[entry.location] = entry
            history._register(entry.location)
        return history

    def find(self, location: Location, kind: str) -> Entry | None:
        """The entry there; raises `HistoryDivergedError` when it has another kind (WF-033)."""
        entry = self.entries.get(location)
        if entry is not None and entry.kind != kind:
            raise HistoryDivergedError(f'Expected {kind.replace("_", " ")} "{location[-1]}" at {path_text(location)}, found {entry.kind}')
        return entry

    def add(self, location: Location, kind: str, data: dict[str, Any], *, with_meta: bool = False) -> Entry:
        """Record a new entry; durable with the next flush.

        Raises:
            Unstorable: A name or something in it has no stored form.
            FlushTooLargeError: It does not fit into a flush. Nothing was recorded in either case, so nothing else is held up (WF-182).
        """
        entry = Entry(str(uuid.uuid4()), location, kind, data, self._order)
        check_fits(entry, data)
        self._register(location)
        self._order += 1
        if with_meta:
            entry.meta = Metadata(created_at=clock.now_ms())
        self.entries[location] = entry
        self.touch(entry)
        return entry

    def _register(self, location: Location) -> None:
        for item in location:
            if isinstance(item, str) and item not in self.names:
                self.names[item] = len(self.names)
                self._new_names.append(item)

    def touch(self, entry: Entry) -> None:
        """Mark an entry as changed."""
        self._dirty[entry.id] = entry

    def replace(self, entry: Entry, **changes: Any) -> None:
        """Change fields of an entry's data, provided that they fit into a flush.

        Raises:
            FlushTooLargeError: They do not; the entry is as it was, and holds up no other one's flush (WF-141).
        """
        data = {**entry.data, **changes}
        check_fits(entry, data)
        entry.data = data
        self.touch(entry)

    def set_outcome(
        self, state: str, *, output: Any = UNDEFINED, error: dict[str, Any] | None = None, unreported: bool = False, built_in: bool = False
    ) -> None:
        """Change the workflow's own state, output and error."""
        outcome = Outcome(state, copied(output), error, unreported, built_in)
        # Only a difference is written, so a replay that comes to the same end writes nothing. By the bytes: 1 is not True, but NaN is NaN.
        if _outcome_values(self.outcome) != _outcome_values(outcome):
            self.outcome = outcome
            self._outcome_dirty = True

    def below(self, scope: Location) -> list[Entry]:
        """Entries strictly inside a scope."""
        size = len(scope)
        return [entry for location, entry in self.entries.items() if len(location) > size and location[:size] == scope]

    def delete(self, entries: Iterable[Entry]) -> None:
        """Forget entries; their rows go after the next successful flush (WF-144)."""
        # Callers give generators over the very dictionary that shrinks here.
        for entry in list(entries):
            self.entries.pop(entry.location, None)
            self._dirty.pop(entry.id, None)
            self._deleted.append(entry)

    @property
    def is_dirty(self) -> bool:
        """Whether a flush has anything to write (WF-147)."""
        return bool(self._dirty or self._new_names or self._outcome_dirty or self._deleted)

    def take_changes(self) -> tuple[list[Op], list[Op], Changes]:
        """The writes, the deletions that follow them, and what to give back to `restore` when the commit fails.

        Raises:
            FlushTooLargeError: A value or the whole flush is too large; nothing was taken.
        """
        writes = self._writes()
        # Before anything is taken: a flush that is refused leaves all marks as they were.
        _check_limits(writes)
        deletions: list[Op] = []
        for entry in self._deleted:
            deletions += [Delete(TABLE, b"e" + entry.id.encode()), Delete(TABLE, b"m" + entry.id.encode())]
        taken = Changes(self._dirty, self._new_names, self._outcome_dirty, self._deleted)
        self._dirty, self._new_names, self._outcome_dirty, self._deleted = {}, [], False, []
        return list(writes), deletions, taken

    def fitting(self, sizes: Sequence[int], *, around: int) -> int:
        """How many message entries the next flush can hold, at least one.

        Args:
            sizes: Bytes of the bodies, in order.
            around: Bytes of the path of the receive, which is in each row.
        """
        unsaved = self._writes()
        # Four rows and a little for what a receive records beside its messages.
        rows, room = MAX_ROWS - len(unsaved) - 4, MAX_FLUSH - sum(len(write.key) + len(write.value) for write in unsaved) - 4_096
        count = 0
        for size in sizes:
            # The entry, and its name in the registry.
            rows, room = rows - 2, room - size - 2 * around - 512
            if rows < 0 or room < 0:
                break
            count += 1
        return max(1, count)

    def _writes(self) -> list[Put]:
        writes: list[Put] = [Put(TABLE, f"n{self.names[name]}".encode(), encode(name)) for name in self._new_names]
        for entry in self._dirty.values():
            writes.append(Put(TABLE, b"e" + entry.id.encode(), _row(entry, entry.data)))
            if entry.meta is not None:
                meta = {name: getattr(entry.meta, name) for name in Metadata.__slots__}
                writes.append(Put(TABLE, b"m" + entry.id.encode(), encode(meta)))
        if self._outcome_dirty:
            state, output, error, unreported, built_in = _outcome_values(self.outcome)
            writes += [Put(TABLE, b"s", state), Put(TABLE, b"o", output), Put(TABLE, b"x", error)]
            if self.outcome.error is not None:
                writes += [Put(TABLE, b"u", unreported), Put(TABLE, b"f", built_in)]
        return writes

    def restore(self, taken: Changes) -> None:
        """Mark what a failed flush took as unsaved again (WF-143)."""
        # An entry that was deleted while the flush was under way must not come back with it.
        gone = {entry.id for entry in self._deleted}
        self._dirty = {k: v for k, v in taken.dirty.items() if k not in gone} | self._dirty
        self._new_names = taken.new_names + self._new_names
        self._outcome_dirty |= taken.outcome
        self._deleted = taken.deleted + self._deleted

    def restore_deletions(self, taken: Changes) -> None:
        """What a flush wrote is durable, what it was to delete is still there."""
        self._deleted = taken.deleted + self._deleted

    def give_up(self) -> None:
        """Leave out of all later flushes what one could not hold, so that the workflow's failure can be recorded (WF-182)."""
        self._dirty, self._new_names = {}, []

    def clear(self) -> None:
        """Forget everything (replay from the beginning)."""
        self.delete(list(self.entries.values()))


@dataclass(frozen=True, slots=True)
class Changes:
    """What one flush took out of a history."""

    dirty: dict[str, Entry]
    new_names: list[str]
    outcome: bool
    deleted: list[Entry]


def _row(entry: Entry, data: dict[str, Any]) -> bytes:
    # As deep as a value may be it is accepted by queues and steps, and must fit into any entry; rows may be deeper than messages.
    return encode({"location": list(entry.location), "kind": entry.kind, "data": data, "order": entry.order}, around=_AROUND)


def _outcome_values(outcome: Outcome) -> tuple[bytes, ...]:
    return tuple(map(encode, (outcome.state, outcome.output, outcome.error, outcome.unreported, outcome.built_in)))


def check_fits(entry: Entry, data: dict[str, Any]) -> None:
    """Return if the entry could be flushed with this data; raises `FlushTooLargeError` or `Unstorable`."""
    _check_value(_row(entry, data))


def _check_value(value: bytes) -> None:
    if len(value) > MAX_VALUE:
        raise FlushTooLargeError(f"workflow value of {len(value)} bytes is over the limit of {MAX_VALUE}")


def _check_limits(writes: list[Put]) -> None:
    total = 0
    for write in writes:
        _check_value(write.value)
        total += len(write.key) + len(write.value)
    if len(writes) > MAX_ROWS or total > MAX_FLUSH:
        raise FlushTooLargeError(f"workflow flush of {len(writes)} rows and {total} bytes is over the limit")
