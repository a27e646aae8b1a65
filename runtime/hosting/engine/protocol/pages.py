"""Reads and commits of the pages of an actor's database at the engine (ENGINE sections 4.6 and 10.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime.hosting.engine.protocol.types import DATA, I64, STR, U32, U64, many, optional, record, union

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class GetPages:
    """Ask for pages. `head`: the transaction that they must belong to; with None the newest."""

    actor_id: str
    numbers: Sequence[int]
    generation: int | None
    head: int | None


@dataclass(frozen=True, slots=True)
class Page:
    """One page to be written; numbers begin with 1."""

    number: int
    data: bytes


@dataclass(frozen=True, slots=True)
class CommitPages:
    """Replace pages in one transaction that follows `head`; `size` is what the database has afterwards, in pages."""

    actor_id: str
    pages: Sequence[Page]
    size: int
    now_ms: int
    generation: int | None
    head: int | None


@dataclass(frozen=True, slots=True)
class FoundPage:
    """One page that was asked for; without data when it was never written."""

    number: int
    data: bytes | None


@dataclass(frozen=True, slots=True)
class PagesFound:
    """The answer to `GetPages`; `head` is the newest transaction."""

    pages: Sequence[FoundPage]
    head: int | None


@dataclass(frozen=True, slots=True)
class Committed:
    """The answer to `CommitPages`: the transaction that it became."""

    head: int | None


@dataclass(frozen=True, slots=True)
class Refused:
    """The engine did not do it."""

    group: str
    code: str
    message: str


GET_PAGES = record(GetPages, actor_id=STR, numbers=many(U32), generation=optional(U64), head=optional(U64))
COMMIT_PAGES = record(
    CommitPages,
    actor_id=STR, pages=many(record(Page, number=U32, data=DATA)), size=U32, now_ms=I64, generation=optional(U64), head=optional(U64),
)  # fmt: skip
_REFUSED = (1, Refused, record(Refused, group=STR, code=STR, message=STR))
_FOUND = record(PagesFound, pages=many(record(FoundPage, number=U32, data=optional(DATA))), head=optional(U64))
PAGES_ANSWER = union((0, PagesFound, _FOUND), _REFUSED)
COMMIT_ANSWER = union((0, Committed, record(Committed, head=optional(U64))), _REFUSED)
