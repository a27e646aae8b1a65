"""Handles that know when they went stale.

A handle may have resolved to an id that a sleep or destroy has since replaced. So every handle a test gets through `conform` is tracked,
and once a boundary was crossed through `boundary`, using one from before it is an error of the test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.errors import StaleHandleError


@dataclass(frozen=True, slots=True)
class Address:
    """What a handle names: an actor by key, or by id."""

    name: str
    key: tuple[str, ...] | None = None
    actor_id: str | None = None
    namespace: str | None = None


class TrackedHandle:
    """Passes everything on to a client handle until a boundary makes it stale.

    Connections opened through it are not affected: they live on across a sleep.
    """

    # Underscored, so that no name of its own hides an action of the same name.
    __slots__ = ("_address", "_book", "_handle", "_stale")

    def __init__(self, handle: Any, address: Address, book: HandleBook) -> None:
        """Wrap `handle`; done by `HandleBook.track`."""
        self._handle = handle
        self._address = address
        self._book = book
        self._stale: str | None = None

    def __getattr__(self, name: str) -> Any:
        if self._stale is not None:
            raise StaleHandleError(f"handle of {self._address.name} used after {self._stale}; reacquire it by key after the boundary")
        return getattr(self._handle, name)

    def __repr__(self) -> str:
        return f"<{'stale ' if self._stale else ''}handle {self._address}>"


class HandleBook:
    """Every handle one test got."""

    def __init__(self) -> None:
        self._handles: list[TrackedHandle] = []
        self._named: dict[str, Address] = {}

    def learn(self, actor_id: str, address: Address) -> None:
        """An actor's id was found by its name and key."""
        self._named[actor_id] = address

    def knows(self, actor_id: str) -> Address | None:
        """The name and key by which an id was found."""
        return self._named.get(actor_id)

    def track(self, handle: Any, address: Address) -> TrackedHandle:
        """Wrap a client handle and remember it."""
        tracked = TrackedHandle(handle, address, self)
        self._handles.append(tracked)
        return tracked

    def addresses(self) -> set[Address]:
        """What the handles name."""
        return {handle._address for handle in self._handles}

    def cross(self, address: Address, actor_id: str, boundary: str) -> int:
        """Make every handle of this actor stale, by key or by id; returns how many."""
        crossed = 0
        for handle in self._handles:
            other = handle._address
            # By key as well as by id: a handle by key may have cached the id that the boundary has just ended.
            same_key = address.key is not None and (other.name, other.key, other.namespace) == (
                address.name,
                address.key,
                address.namespace,
            )
            if handle._stale is None and (same_key or actor_id == other.actor_id or other == address):
                handle._stale = boundary
                crossed += 1
        return crossed


def untracked(handle: TrackedHandle) -> Any:
    """The client's own handle, for tests of what the client itself makes of a stale one."""
    return handle._handle


def address_of(handle: TrackedHandle) -> Address:
    """What a tracked handle names.

    Raises:
        StaleHandleError: it is stale.
    """
    if handle._stale is not None:
        raise StaleHandleError(f"{handle!r} used after {handle._stale}; reacquire it by key after the boundary")
    return handle._address
