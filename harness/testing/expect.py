"""Expecting a structured error."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from client import ActorError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass(slots=True)
class Caught:
    """Holds the error once the block has ended; attribute access goes through to it (`.message`, `.metadata`, ...)."""

    error: ActorError | None = None

    def __getattr__(self, name: str) -> Any:
        if self.error is None:
            raise AttributeError(f"{name}: nothing was caught yet")
        return getattr(self.error, name)


@asynccontextmanager
async def expect_error(group: str, code: str) -> AsyncIterator[Caught]:
    """The block must fail with the structured error `group.code`; the error is kept in the yielded `Caught`.

    Raises:
        AssertionError: nothing was raised, or another structured error.
    """
    caught = Caught()
    try:
        yield caught
    # Group and code together, never "any error": a test that takes every error passes on a runtime that hosts nothing.
    except ActorError as error:
        if (error.group, error.code) != (group, code):
            raise AssertionError(f"expected {group}.{code}, got {error.group}.{error.code}: {error}") from error
        caught.error = error
        return
    raise AssertionError(f"expected {group}.{code}, but nothing was raised")
