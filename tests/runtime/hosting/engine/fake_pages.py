"""`PageLink` without an engine: databases in a dict, with the engine's fences and limit, and failures on demand."""

import contextlib
import threading
from collections import deque

from runtime.hosting.engine.ports import LinkLostError, RefusedError
from runtime.hosting.engine.protocol.pages import Committed, FoundPage, PagesFound, Refused

MAX_PAGES = 320


class FakePages:
    """The engine's side of all databases.

    Attributes:
        failures: What becomes of the next calls, by "get" or "commit": None for nothing, "before" (lost, not done), "after" (lost, done),
            "late" (lost, done when the next commit comes), or a `Refused`.
        asked, committed: All requests that came.
    """

    def __init__(self):
        self.pages, self.heads, self.sizes = {}, {}, {}
        self.generations = {}
        self.failures = {"get": deque(), "commit": deque()}
        self.asked, self.committed, self._late = [], [], []
        self._txid = 0
        self._lock = threading.Lock()

    def get_pages(self, wanted):
        with self._lock:
            self.asked.append(wanted)
            failure = self._failure("get")
            if failure is not None:
                raise LinkLostError("lost") if isinstance(failure, str) else RefusedError(failure)
            self._fence(wanted)
            if wanted.actor_id not in self.heads:
                raise RefusedError(Refused("depot", "database_not_found", "database was not found"))
            if wanted.head is not None and wanted.head != self.heads[wanted.actor_id]:
                raise RefusedError(Refused("depot", "head_fence_mismatch", "head"))
            pages = self.pages[wanted.actor_id]
            return PagesFound([FoundPage(number, pages.get(number)) for number in wanted.numbers], self.heads[wanted.actor_id])

    def commit_pages(self, commit):
        with self._lock:
            self.committed.append(commit)
            failure = self._failure("commit")
            if failure == "late":
                self._late.append(commit)
                raise LinkLostError("lost")
            self._apply_late()
            if failure != "before" and not isinstance(failure, Refused):
                head = self._apply(commit)
            if failure is not None:
                raise LinkLostError("lost") if isinstance(failure, str) else RefusedError(failure)
            return Committed(head)

    def _failure(self, kind):
        return self.failures[kind].popleft() if self.failures[kind] else None

    def _apply_late(self):
        late, self._late = self._late, []
        for commit in late:
            with contextlib.suppress(RefusedError):
                self._apply(commit)

    def _fence(self, request):
        newest = self.generations.setdefault(request.actor_id, request.generation)
        if request.generation != newest:
            raise RefusedError(Refused("core", "internal_error", "actor does not exist"))

    def _apply(self, commit):
        self._fence(commit)
        if commit.head != self.heads.get(commit.actor_id):
            raise RefusedError(Refused("depot", "head_fence_mismatch", "head"))
        if len(commit.pages) > MAX_PAGES:
            raise RefusedError(Refused("depot", "commit_too_large", f"commit of {len(commit.pages)} pages is too large"))
        pages = self.pages.setdefault(commit.actor_id, {})
        for page in commit.pages:
            assert len(page.data) == 4096
            assert 1 <= page.number <= commit.size
            pages[page.number] = page.data
        for number in [number for number in pages if number > commit.size]:
            del pages[number]
        self._txid += 1
        self.heads[commit.actor_id], self.sizes[commit.actor_id] = self._txid, commit.size
        return self._txid
