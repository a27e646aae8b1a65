"""Crossing a sleep or destroy boundary, once, in one way, with proof."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import httpx

from harness.errors import HarnessError
from harness.testing.handles import TrackedHandle, address_of

if TYPE_CHECKING:
    from harness.testing.conform import Conform
    from harness.testing.eventually import Eventually

SleepVia = Literal["action", "api", "idle"]
DestroyVia = Literal["action", "api"]


# The only way for tests to cross a boundary, so that all of them wait for the same proof: what the manager says of the actor.
class Boundary:
    """Puts actors to sleep or destroys them, waits until the manager reports it, and makes earlier handles stale."""

    def __init__(self, conform: Conform, eventually: Eventually) -> None:
        """Made by the `boundary` fixture."""
        self._conform = conform
        self._eventually = eventually

    async def sleep(self, handle: TrackedHandle, via: SleepVia = "action", *, action: str = "triggerSleep", timeout: float = 15.0) -> str:
        """Put the actor to sleep and wait until it is: by its sleep action, by the manager API, or by leaving it alone.

        Returns:
            The actor id.

        Raises:
            AssertionError: it was not asleep within `timeout` seconds.
            HarnessError: the handle is stale or does not come from `conform`.
        """
        actor_id = await self._resolve(handle)
        if via == "action":
            await handle.action(action)
        elif via == "api":
            await self._post(f"/actors/{actor_id}/sleep")
        await self.wait_asleep(actor_id, timeout=timeout)
        self._cross(handle, actor_id, "boundary.sleep")
        return actor_id

    async def destroy(self, handle: TrackedHandle, via: DestroyVia = "action", *, action: str = "destroy", timeout: float = 15.0) -> str:
        """Destroy the actor, by its destroy action or by the manager API, and wait until it is gone.

        Returns:
            The id of the destroyed actor.

        Raises:
            AssertionError: it was not destroyed within `timeout` seconds.
            HarnessError: the handle is stale or does not come from `conform`.
        """
        actor_id = await self._resolve(handle)
        if via == "action":
            await handle.action(action)
        else:
            await self._delete(f"/actors/{actor_id}")
        await self.wait_destroyed(actor_id, timeout=timeout)
        self._cross(handle, actor_id, "boundary.destroy")
        return actor_id

    # Without touching it: a request to the actor would wake it, so the manager's record is asked.
    async def wait_asleep(self, actor_id: str, timeout: float = 15.0) -> dict[str, Any]:
        """Wait until the manager reports the actor asleep; does not touch it, does not make handles stale."""
        return await self._eventually(
            lambda: self.record(actor_id),
            until=lambda record: record["sleep_ts"] is not None,
            timeout=timeout,
            what=f"sleep of actor {actor_id}",
            window="asleep",
        )

    async def wait_destroyed(self, actor_id: str, timeout: float = 15.0) -> dict[str, Any]:
        """Wait until the manager reports the actor destroyed; does not make handles stale."""
        return await self._eventually(
            lambda: self.record(actor_id),
            until=lambda record: record["destroy_ts"] is not None,
            timeout=timeout,
            what=f"destruction of actor {actor_id}",
            window="destroyed",
        )

    async def record(self, actor_id: str) -> dict[str, Any]:
        """The actor's record as the manager lists it (WIRE-040, WIRE-065)."""
        response = await self._request("GET", "/actors", {"actor_ids": actor_id})
        actors: list[dict[str, Any]] = response.json()["actors"]
        # An actor that is not listed is the target's fault (WIRE-065), so it is an assertion and no error of the harness.
        assert actors, f"the manager does not list actor {actor_id}"
        return actors[0]

    async def is_asleep(self, actor_id: str) -> bool:
        """Whether the manager reports the actor asleep now."""
        return (await self.record(actor_id))["sleep_ts"] is not None

    def _cross(self, handle: TrackedHandle, actor_id: str, what: str) -> None:
        self._conform.handles.cross(address_of(handle), actor_id, what)
        self._conform.transcript.mark(f"{what} of {actor_id}")

    async def _resolve(self, handle: TrackedHandle) -> str:
        if not isinstance(handle, TrackedHandle):
            raise HarnessError(f"boundary needs a handle from `conform`, not {type(handle).__name__}")
        actor_id: str = await handle.resolve()
        return actor_id

    async def _post(self, path: str) -> httpx.Response:
        return await self._request("POST", path, {}, json={})

    async def _delete(self, path: str) -> httpx.Response:
        return await self._request("DELETE", path, {})

    async def _request(self, method: str, path: str, query: dict[str, str], **options: Any) -> httpx.Response:
        token = self._conform.token
        # Past the tracked manager API: this is the harness looking, and must not make the handles stale before the boundary was seen.
        response = await self._conform.http.request(
            method,
            path,
            params={"namespace": self._conform.namespace, **query},
            headers={b"authorization": f"Bearer {token}".encode()} if token else {},
            **options,
        )
        assert response.status_code == httpx.codes.OK, f"{method} {path}: {response.status_code} {response.text}"
        return response
