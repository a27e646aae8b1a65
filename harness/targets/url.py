"""A target that somebody else started and that answers at a URL."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import httpx

from harness.errors import TargetError
from harness.targets.base import Endpoint, TimeMode

# Long enough for a runtime that CI has just started, short enough to be told while somebody still looks.
REACH = 15.0
"""Seconds to wait for the first answer."""
TEXT_SHOWN = 300


@dataclass(frozen=True, slots=True)
class UrlTarget:
    """Runs in real time only; its storage is its own business and is called `external` in test ids."""

    url: str
    namespace: str = "default"
    pool: str = "default"
    token: str | None = None
    name: str = "url"
    capabilities: frozenset[str] = frozenset()
    profile: str = "peer-2.3"
    time_scale: float = 2.0
    time_modes: tuple[TimeMode, ...] = (TimeMode.REAL,)
    storages: tuple[str, ...] = ("external",)
    patience: float = REACH
    """Seconds to wait for the first answer."""

    async def preflight(self) -> None:
        """Wait until `GET /health` answers (WIRE-050), once for all workers.

        Raises:
            TargetError: it did not within `patience` seconds.
        """
        await reach(self.url, self.patience)

    async def start(self, storage: str) -> Endpoint:
        """As `preflight`.

        Raises:
            TargetError: it does not answer.
        """
        await reach(self.url, self.patience)
        return Endpoint(self.url, self.namespace, self.pool, self.token)

    async def stop(self) -> None:
        """Leave it running: it is not ours."""


async def reach(url: str, timeout: float = REACH) -> None:
    """Poll `url`/health until it answers 200.

    Raises:
        TargetError: it did not within `timeout` seconds, or it says that it does not answer us.
    """
    last = "no answer"
    try:
        async with asyncio.timeout(timeout), httpx.AsyncClient(base_url=url) as http:
            while True:
                try:
                    response = await http.get("/health")
                    if response.status_code == httpx.codes.OK:
                        return
                    if response.status_code == httpx.codes.FORBIDDEN:
                        raise TargetError(f"{url} refuses to be asked: {said(response)}")
                    last = f"status {response.status_code}"
                except httpx.TransportError as error:
                    last = str(error) or type(error).__name__
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise TargetError(f"{url}/health did not answer 200 within {timeout:g} s: {last}") from None


def said(response: httpx.Response) -> str:
    """The sentence of a structured error, else the beginning of the text."""
    try:
        return str(response.json()["message"])
    except (ValueError, KeyError, TypeError):
        return response.text[:TEXT_SHOWN] or f"status {response.status_code}"
