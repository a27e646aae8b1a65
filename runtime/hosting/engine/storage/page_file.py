"""The file that SQLite sees: pages of the engine, those that it changed, and the sync that makes one commit of them.

With its journal in memory SQLite writes to the file when it commits, or earlier when its cache is full, and syncs at the end; a rollback
writes the old content back and syncs, too. So at a sync what differs from the engine's pages is the commit, and when nothing does there
is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.actor.database.handles.page_limit import MAX_PAGES_OF_A_COMMIT, CommitTooLargeError
from runtime.hosting.engine.storage.page_cache import PageCache
from runtime.hosting.engine.storage.remote_pages import RemotePages

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.hosting.engine.ports import PageLink
    from runtime.hosting.engine.storage.errors import FencedError
    from runtime.hosting.engine.storage.page_cache import PageBudget

PAGE = 4096
"""Bytes (ENGINE-184)."""
PREFETCH = 64
"""Pages that are read at once, from one that is wanted on: a request costs about as much for one of them."""
MOST_AHEAD = 8 * MAX_PAGES_OF_A_COMMIT
"""Changed pages that are held before a commit: a transaction that will be refused must not fill the memory first."""
_EMPTY = bytes(PAGE)
_SIZE = slice(28, 32)


class PageFile:
    """One generation's. Used on one thread at a time, which it blocks.

    Args:
        on_dead: See `RemotePages`.

    Attributes:
        size: In pages, as SQLite has it now.
        undone: Whether changes were dropped because they could not be committed; whoever asks sets it back.
    """

    def __init__(
        self, link: PageLink, actor_id: str, generation: int, budget: PageBudget, on_dead: Callable[[FencedError], None] = lambda _: None
    ) -> None:
        self._remote = RemotePages(link, actor_id, generation, on_dead)
        self._clean = PageCache(budget)
        self._dirty: dict[int, bytes] = {}
        self._committed_size = 0
        self.size = 0
        self.undone = False

    @property
    def dead(self) -> FencedError | None:
        """Why nothing passes any more."""
        return self._remote.dead

    def open(self) -> None:
        """Read the beginning; a database that does not exist yet has no pages.

        Raises:
            PagesError: It could not be read.
        """
        found = self._remote.first(range(1, PREFETCH + 1))
        self._clean.put(found)
        if 1 in found:
            self.size = self._committed_size = int.from_bytes(found[1][_SIZE], "big")

    def read(self, amount: int, offset: int) -> bytes:
        """Bytes of the file; fewer at its end."""
        number, within = divmod(offset, PAGE)
        if within + amount <= PAGE:
            return self._page(number + 1)[within : within + amount] if number < self.size else b""
        first = self.read(PAGE - within, offset)
        return first + self.read(amount - len(first), offset + len(first)) if len(first) == PAGE - within else first

    def write(self, data: bytes, offset: int) -> None:
        """Replace bytes, beyond the end, too.

        Raises:
            CommitTooLargeError: So many pages were changed that no commit takes them (DB-321).
        """
        while data:
            number, within = divmod(offset, PAGE)
            part = data[: PAGE - within]
            self._change(number + 1, part if len(part) == PAGE else self._patched(number + 1, part, within))
            offset += len(part)
            data = data[len(part) :]

    def truncate(self, size: int) -> None:
        """Cut, or let it grow, to so many bytes."""
        self.size = size // PAGE
        for number in [number for number in self._dirty if number > self.size]:
            del self._dirty[number]

    def sync(self) -> None:
        """Commit what was changed, at once and durably; nothing when nothing was.

        Raises:
            CommitTooLargeError: The engine takes no such commit; nothing was written (DB-321, ENGINE-179).
            PagesError: It could not be written, see `RemotePages.commit`.
        """
        # Written while the engine's page was not at hand: after a rollback it may be the same.
        unknown = [number for number in self._dirty if number <= self._committed_size and number not in self._clean]
        if unknown:
            self._clean.put(self._remote.read(unknown))
            for number in unknown:
                if self._dirty[number] == self._clean.get(number):
                    del self._dirty[number]
        if not self._dirty and self.size == self._committed_size:
            return
        try:
            if len(self._dirty) > MAX_PAGES_OF_A_COMMIT:
                raise CommitTooLargeError
            self._remote.commit(self._dirty, self.size)
        except BaseException:
            self._revert()
            raise
        changed, self._dirty = self._dirty, {}
        self._clean.put(changed)
        if self.size < self._committed_size:
            self._clean.cut(self.size)
        self._committed_size = self.size

    def close(self) -> None:
        """Let the pages go."""
        self._clean.clear()
        self._dirty.clear()

    def _page(self, number: int) -> bytes:
        page = self._dirty.get(number) or self._clean.get(number)
        if page is None and number <= self._committed_size:
            wanted = range(number, min(number + PREFETCH, self._committed_size + 1))
            self._clean.put(self._remote.read([each for each in wanted if each not in self._clean]))
            page = self._clean.get(number)
        return page or _EMPTY

    def _patched(self, number: int, part: bytes, within: int) -> bytes:
        old = self._page(number) if number <= self.size else _EMPTY
        return old[:within] + part + old[within + len(part) :]

    def _change(self, number: int, page: bytes) -> None:
        # Never kept twice: what a rollback writes back must not count as a change.
        if self._clean.get(number) == page:
            self._dirty.pop(number, None)
        elif number in self._dirty or len(self._dirty) < MOST_AHEAD:
            self._dirty[number] = page
        else:
            # What SQLite does next is to write the old content back, which changes nothing.
            self._revert()
            raise CommitTooLargeError
        self.size = max(self.size, number)

    def _revert(self) -> None:
        self._dirty.clear()
        self.size = self._committed_size
        self.undone = True
