"""Pages of one database at the engine, read and committed by one generation: its fences, and what became of a commit without an answer.

Nobody else commits in a generation, and another generation's number refuses every request of this one. So a head that moved while a commit
had no answer says that it was applied, and one that did not says that it was not, or not yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Never

from runtime import clock
from runtime.actor.database.handles.page_limit import CommitTooLargeError
from runtime.hosting.engine.ports import LinkLostError, RefusedError
from runtime.hosting.engine.protocol.pages import CommitPages, GetPages, Page
from runtime.hosting.engine.storage.errors import HEAD_MISMATCH, NO_DATABASE, TOO_LARGE, FencedError, PagesError, is_fence

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from runtime.hosting.engine.ports import PageLink
    from runtime.hosting.engine.protocol.pages import PagesFound

MOST_TRIES = 5
"""How often one commit is sent; each of its answers was lost."""


class RemotePages:
    """Blocks the thread that calls it; one at a time.

    Args:
        on_dead: Called once, on the thread of the database, when the generation may not go on.

    Attributes:
        head: The transaction that the pages known here belong to; None before the first.
        dead: Why nothing passes any more.
    """

    def __init__(self, link: PageLink, actor_id: str, generation: int, on_dead: Callable[[FencedError], None]) -> None:
        self._link = link
        self._actor_id = actor_id
        self._generation = generation
        self._on_dead = on_dead
        self.head: int | None = None
        self.dead: FencedError | None = None

    def first(self, numbers: Sequence[int]) -> dict[int, bytes]:
        """Read pages of whatever the newest transaction is, which becomes the head; nothing when there is no database yet.

        Raises:
            PagesError: They could not be read.
        """
        found = self._newest(numbers)
        if found is None:
            return {}
        self.head = found.head
        return _data(found)

    def read(self, numbers: Sequence[int]) -> dict[int, bytes]:
        """Read pages of the head; those that were never written are left out.

        Raises:
            PagesError: They could not be read.
        """
        self.check()
        try:
            return _data(self._link.get_pages(GetPages(self._actor_id, numbers, self._generation, self.head)))
        except RefusedError as error:
            self._refused(error)
        except LinkLostError as error:
            raise PagesError(f"the engine did not answer: {error}") from error

    def commit(self, pages: Mapping[int, bytes], size: int) -> None:
        """Write pages in one transaction, exactly once.

        Args:
            pages: Those that change, by number.
            size: What the database has afterwards, in pages.

        Raises:
            CommitTooLargeError: The engine takes no such commit; nothing was written (DB-321, ENGINE-179).
            PagesError: Nothing was written.
            FencedError: Nothing was written, or nobody knows.
        """
        self.check()
        changed = [Page(number, data) for number, data in sorted(pages.items())]
        commit = CommitPages(self._actor_id, changed, size, clock.now_ms(), self._generation, self.head)
        for attempt in range(MOST_TRIES):
            refusal = None
            try:
                self.head = self._link.commit_pages(commit).head
            except LinkLostError:
                pass
            except RefusedError as error:
                refusal = error
                # To a repeated one: the first came late, and this one found the head that it made.
                late = attempt > 0 and _kind(error) == HEAD_MISMATCH
                if not late and _did_nothing(error):
                    self._refused(error)
            else:
                return
            if self._was_applied():
                return
            if refusal is not None:
                self._refused(refusal)
        self._die(FencedError(f"the answers to {MOST_TRIES} tries of a commit were lost"))

    def check(self) -> None:
        """Raise what ended the generation, if something did."""
        if self.dead is not None:
            raise self.dead

    def _was_applied(self) -> bool:
        """Whether the head has moved; then it is the new one."""
        try:
            found = self._newest([1])
        except FencedError:
            raise
        except PagesError as error:
            self._die(FencedError(f"nobody knows whether a commit was made: {error}"))
        head = None if found is None else found.head
        moved, self.head = head != self.head, head
        return moved

    def _newest(self, numbers: Sequence[int]) -> PagesFound | None:
        self.check()
        try:
            return self._link.get_pages(GetPages(self._actor_id, numbers, self._generation, None))
        except RefusedError as error:
            if _kind(error) == NO_DATABASE:
                return None
            self._refused(error)
        except LinkLostError as error:
            raise PagesError(f"the engine did not answer: {error}") from error

    def _refused(self, error: RefusedError) -> Never:
        if _kind(error) == TOO_LARGE:
            raise CommitTooLargeError from error
        if is_fence(error.refused):
            self._die(FencedError(f"the actor belongs to another generation: {error}"))
        raise PagesError(str(error)) from error

    def _die(self, error: FencedError) -> Never:
        self.dead = error
        self._on_dead(error)
        raise error


def _kind(error: RefusedError) -> tuple[str, str]:
    return error.refused.group, error.refused.code


def _did_nothing(error: RefusedError) -> bool:
    """Whether it is sure that a commit was not made; an error from somewhere else in the engine may come behind it."""
    return is_fence(error.refused) or error.refused.group == TOO_LARGE[0]


def _data(found: PagesFound) -> dict[int, bytes]:
    return {page.number: page.data for page in found.pages if page.data is not None}
