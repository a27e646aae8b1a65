"""What is asked of an engine over REST: before the first actor there (ENGINE-020), and what no message of an envoy can say."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import msgspec

from runtime import clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

OLDEST_PROTOCOL = 6
"""The version of the envoy protocol that is spoken here."""
DEADLINE = 30.0
"""Seconds until an engine must have taken a call that it refuses while it is starting (ENGINE-004, ENGINE-210)."""
STEP = 0.1
"""Seconds between two attempts: an engine that has just started knows its own datacenter some tenths later."""
ANSWER = 10.0
"""Seconds that one request may take."""
STARTING = frozenset({(400, "namespace", "not_found"), (500, "core", "internal_error")})
"""Answers of an engine that has just started: status, group and code (ENGINE-004)."""


class SetUpError(RuntimeError):
    """The engine is not there, is too old, or refused a call; the message says which one and with what."""


async def set_up(url: str, namespace: str, pool: str, token: str | None = None, *, within: float = DEADLINE) -> None:
    """Make the namespace and give the pool a configuration in every datacenter; both may be there already (ENGINE-020, ENGINE-022).

    For engines of one's own only: the owner of another one configures it.

    Args:
        url: Where the engine answers, such as `http://127.0.0.1:6420`.
        namespace: Name of the namespace.
        pool: Name of the pool.
        token: The engine's admin token, where it has one (ENGINE-012).
        within: Seconds for all of it.

    Raises:
        SetUpError: The engine is not there in time, speaks an older protocol, or refused.
    """
    async with _asking(url, token, within, f"it is not set up for pool {pool} of namespace {namespace}") as engine:
        await engine.check_version()
        await engine.call("POST", "/namespaces", {"name": namespace, "display_name": namespace}, fine=("namespace", "name_not_unique"))
        known = (await engine.call("GET", "/datacenters"))["datacenters"]
        normal = {"normal": {}, "drain_on_version_upgrade": True}
        place = f"/runner-configs/{_quoted(pool)}?namespace={_quoted(namespace)}"
        await engine.call("PUT", place, {"datacenters": {one["name"]: normal for one in known}})


async def check_version(url: str, token: str | None = None, *, within: float = DEADLINE) -> None:
    """Look whether there is an engine that speaks our protocol; nothing is changed there.

    Raises:
        SetUpError: There is none in `within` seconds, or it speaks an older protocol.
    """
    async with _asking(url, token, within, "it did not say its version") as engine:
        await engine.check_version()


async def wait_listed(url: str, namespace: str, pool: str, envoy_key: str, token: str | None = None, *, within: float = DEADLINE) -> None:
    """Wait until the engine lists an envoy, and so places actors of its pool (ENGINE-021, ENGINE-210).

    Raises:
        SetUpError: It is not listed in `within` seconds, or the engine refused.
    """
    async with _asking(url, token, within, f"envoy {envoy_key} is not listed in pool {pool} of namespace {namespace}") as engine:
        while not await engine.lists(f"/envoys?namespace={_quoted(namespace)}&name={_quoted(pool)}", envoy_key):
            await clock.sleep(STEP)


async def destroy_actor(url: str, namespace: str, actor_id: str, token: str | None = None, *, within: float = DEADLINE) -> None:
    """Destroy an actor in whatever state; while a generation ends for sleep, no message of an envoy says so.

    The engine answers when the last generation has stopped, so the caller must go on with its stop meanwhile. An actor that is gone
    already is destroyed.

    Raises:
        SetUpError: The engine refused, or did not answer in `within` seconds; it may have taken it all the same.
    """
    async with _asking(url, token, within, f"actor {actor_id} is not destroyed") as engine:
        await engine.call(
            "DELETE", f"/actors/{_quoted(actor_id)}?namespace={_quoted(namespace)}", fine=("actor", "not_found"), answer=within
        )


@contextlib.asynccontextmanager
async def _asking(url: str, token: str | None, within: float, otherwise: str) -> AsyncIterator[_Engine]:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    # Certificates are loaded for those engines only that have one: that takes longer than all the calls together.
    secure = url.startswith("https:")
    async with httpx.AsyncClient(headers=headers, timeout=ANSWER, trust_env=False, verify=secure) as http:
        engine = _Engine(url.rstrip("/"), http)
        try:
            async with asyncio.timeout(within):
                yield engine
        except TimeoutError:
            raise SetUpError(f"engine at {url}: {otherwise} after {within:g} s{engine.last}") from None
        except (KeyError, TypeError, msgspec.DecodeError) as error:
            raise SetUpError(f"engine at {url}: its answer is none of an engine: {error!r}") from error


class _Engine:
    """Requests to one engine; what it refuses while it starts is asked again until the caller's time is up."""

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self._url = url
        self._http = http
        self._trouble = ""

    @property
    def last(self) -> str:
        """Why the last attempt had to be repeated, as the end of a message."""
        return f"; the last attempt: {self._trouble}" if self._trouble else ""

    async def check_version(self) -> None:
        """Look whether it speaks our protocol."""
        about = await self.call("GET", "/metadata")
        spoken = about["envoy_protocol_version"]
        if spoken < OLDEST_PROTOCOL:
            version = about.get("version", "unknown")
            raise SetUpError(
                f"engine at {self._url}: version {version} speaks envoy protocol {spoken}, and {OLDEST_PROTOCOL} or newer is needed"
            )

    async def lists(self, place: str, envoy_key: str) -> bool:
        """Whether an envoy is in the list, which comes in pages."""
        cursor = ""
        while True:
            page = await self.call("GET", place + cursor)
            if any(one["envoy_key"] == envoy_key for one in page["envoys"]):
                return True
            # The last page names a cursor like all others; there is nothing behind it.
            after = page["pagination"]["cursor"]
            if not page["envoys"] or after is None:
                return False
            cursor = f"&cursor={_quoted(after)}"

    async def call(
        self, method: str, place: str, body: Mapping[str, Any] | None = None, *,
        fine: tuple[str, str] | None = None, answer: float = ANSWER,
    ) -> Any:  # fmt: skip
        """What it answers; nothing for the refusal, group and code, that is as good."""
        while True:
            try:
                response = await self._http.request(method, self._url + place, json=body, timeout=answer)
            except httpx.TransportError as error:
                self._trouble = f"{method} {place}: {error or type(error).__name__}"
            else:
                if response.is_success:
                    return msgspec.json.decode(response.content)
                refusal = _refusal(response)
                if refusal[1:] == fine:
                    return None
                self._trouble = f"{method} {place}: {response.status_code} {response.text[:500]}"
                if refusal not in STARTING:
                    raise SetUpError(f"engine at {self._url}: {self._trouble}")
            await clock.sleep(STEP)


def _refusal(response: httpx.Response) -> tuple[int, str, str]:
    try:
        error = msgspec.json.decode(response.content)
        return response.status_code, str(error["group"]), str(error["code"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return response.status_code, "", ""


def _quoted(text: str) -> str:
    return quote(text, safe="")
