"""The client a test gets: its handles are tracked, and what its manager API sends to sleep or destroys makes them stale, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from client import Client
from harness.codec.addresses import key_parts, serialize_key
from harness.testing.handles import Address, HandleBook, TrackedHandle, untracked

if TYPE_CHECKING:
    from collections.abc import Callable

    from client import ManagerApi

# By name and not by overriding each method: the API passes through as it is, also what is added to it later.
NAMED = frozenset({"find_actor", "create_actor", "get_or_create_actor"})
"""Calls whose first arguments are the name and key of the actor whose record they return."""
CROSSING = frozenset({"sleep_actor", "destroy_actor"})
"""Calls that end the present generation of an actor."""


class TrackedManager:
    """Passes everything on to a manager API and tells the book of handles what it learns and crosses by it."""

    def __init__(self, manager: ManagerApi, book: HandleBook, namespace: str) -> None:
        """Made by `TrackedClient`."""
        self._manager = manager
        self._book = book
        self._namespace = namespace

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._manager, name)
        return self._naming(call) if name in NAMED else self._crossing(name, call) if name in CROSSING else call

    def _naming(self, call: Callable[..., Any]) -> Callable[..., Any]:
        async def called(name: str, key: Any = None, **options: Any) -> Any:
            found = await call(name, key, **options)
            record = found[0] if isinstance(found, tuple) else found
            if record is not None and key is not None:
                self._book.learn(record["actor_id"], self._address(name, key))
            return found

        return called

    def _crossing(self, what: str, call: Callable[..., Any]) -> Callable[..., Any]:
        async def called(actor_id: str) -> None:
            # An id that came from elsewhere: asked before the call, as afterwards the record may be gone.
            if self._book.knows(actor_id) is None and (record := await self._manager.get_actor(actor_id)) is not None:
                for address in self._book.addresses():
                    # A record has its key as the manager writes it.
                    if address.key is not None and address.name == record["name"] and serialize_key(address.key) == record["key"]:
                        self._book.learn(actor_id, address)
            await call(actor_id)
            self._book.cross(self._book.knows(actor_id) or Address("", actor_id=actor_id), actor_id, f"conform.rest.{what}")

        return called

    def _address(self, name: str, key: Any) -> Address:
        return Address(name, key_parts(key), namespace=self._namespace)


class TrackedClient(Client):
    """A client whose handles know when they went stale, and whose manager API makes them so."""

    def __init__(self, book: HandleBook, endpoint: str, **options: Any) -> None:
        """As `Client`; `book` is the test's."""
        self._book = book
        super().__init__(endpoint, **options)

    @property
    def rest(self) -> Any:
        """The manager API."""
        return TrackedManager(self._manager, self._book, self.config.namespace)

    # `Client` assigns `rest` again after its lookup, so a plain attribute would lose the tracking.
    @rest.setter
    def rest(self, manager: ManagerApi) -> None:
        self._manager = manager

    def get(self, name: str, key: Any = None, **options: Any) -> Any:
        """As `Client.get`, tracked."""
        return self._track(super().get(name, key, **options), name, key)

    def get_or_create(self, name: str, key: Any = None, **options: Any) -> Any:
        """As `Client.get_or_create`, tracked."""
        return self._track(super().get_or_create(name, key, **options), name, key)

    def get_for_id(self, name: str, actor_id: str, **options: Any) -> Any:
        """As `Client.get_for_id`, tracked."""
        handle = super().get_for_id(name, actor_id, **options)
        return self._book.track(handle, Address(name, actor_id=actor_id, namespace=self.config.namespace))

    async def create(self, name: str, key: Any = None, **options: Any) -> Any:
        """As `Client.create`, tracked by its key and its id."""
        handle: Any = await super().create(name, key, **options)
        # `create` makes its handle through `get_for_id`, which tracked it by its id only.
        return self._track(untracked(handle), name, key)

    def _track(self, handle: Any, name: str, key: Any) -> TrackedHandle:
        return self._book.track(handle, Address(name, key_parts(key), namespace=self.config.namespace))
