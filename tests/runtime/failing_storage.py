"""A storage that fails, or is slow, where a test wants it to be."""

import asyncio
import copy
from dataclasses import dataclass, field

from runtime.storage.memory import MemoryStorage


@dataclass
class Commit:
    """One batch as the storage was given it, by number from 1."""

    number: int
    scope: str
    ops: list = field(default_factory=list)

    @property
    def tables(self):
        return {op.table for op in self.ops}

    def deletes(self, table):
        return any(op.table == table and not hasattr(op, "value") for op in self.ops)


class FailingStorage(MemoryStorage):
    """Attributes:
    fails: Called with each `Commit`; a true answer, or an error, refuses it.
    held: An event that commits wait for before they are done, None for at once.
    seen: Every batch, refused ones too.
    """

    def __init__(self, fails=None):
        super().__init__()
        self.fails = fails or (lambda commit: False)
        self.held = None
        self.seen = []

    async def commit(self, scope, ops):
        commit = Commit(len(self.seen) + 1, scope, list(ops))
        self.seen.append(commit)
        if self.held is not None:
            await self.held.wait()
        answer = self.fails(commit)
        if answer:
            await asyncio.sleep(0)
            raise answer if isinstance(answer, BaseException) else OSError("disk full")
        await super().commit(scope, commit.ops)

    def fail_next(self, count=1, error=True):
        """Refuse that many batches from now on."""
        last = len(self.seen) + count
        self.fails = lambda commit: error if commit.number <= last else False

    def fail_table(self, *tables):
        """Refuse whatever touches one of these tables."""
        self.fails = lambda commit: bool(commit.tables & set(tables))

    def heal(self):
        self.fails = lambda commit: False

    def as_killed(self):
        """What a kill at this moment leaves, as a storage of its own: rows only."""
        left = FailingStorage()
        left._scopes = copy.deepcopy(self._scopes)
        return left
