"""Is this target fit to be judged? Looked at before any verdict is claimed: reach, fixtures, capabilities, clock, machine."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import statistics
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx

from client import ActorError, Client
from harness.clock import Clock
from harness.errors import HarnessError
from harness.marks import ENCODINGS
from harness.masking import of_environment
from harness.stall import STALL, StallProbe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from harness.targets import Endpoint, Target

_FIXTURE = re.compile(r"\b(?:get_or_create|create)\(\s*\"([A-Za-z][A-Za-z0-9]*)\"")
NO_SUCH_ACTION = "conformDoctorAsksForAnActionThatNoActorHas"
PATIENCE = 20.0
LARGEST_SKEW_MS = 1000
CALLS = 20
BURST = 200
SLOW = 0.25
MISSING = {"actor.not_registered", "guard.actor_wake_retries_exceeded", "guard.actor_ready_timeout", "actor.not_configured"}
"""What a call of an actor name that no runtime hosts may come to."""


NEVER_STARTED = {"noSuchActor", "dbLifecycleFailing", "runSelfInitiatedDestroy"}
"""Names of the corpus that a call need not reach: no runtime hosts it, its migration fails, it destroys itself at once."""

OURS = {"overloadActor": "overload"}
"""Names beyond the catalogue, with the capability without which a target need not host them."""


class Health(StrEnum):
    """How a check came out; only `BAD` makes verdicts worthless."""

    GOOD = "ok"
    DOUBTFUL = "doubtful"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check."""

    what: str
    health: Health
    text: str


async def examine(target: Target, storage: str, corpus: Path) -> list[Finding]:
    """Start the target, look at it, stop it."""
    mask = of_environment()
    names = [name for name in mentioned(corpus) if OURS.get(name) is None or OURS[name] in target.capabilities]
    try:
        with StallProbe() as probe:
            endpoint = await target.start(storage)
            mask.learn(endpoint.token)
            found = [Finding("reach", Health.GOOD, f"{target.name} answers at {endpoint.url}")]
            found.extend([finding async for finding in _checks(target, endpoint, names)])
    except HarnessError as error:
        return [Finding("reach", Health.BAD, mask.text(str(error)))]
    finally:
        await target.stop()
    health = Health.DOUBTFUL if probe.stalled else Health.GOOD
    found.append(Finding("machine", health, f"stood still for at most {probe.worst:.3f} s (timing tests tolerate {STALL} s)"))
    return mask.value(found)


async def _checks(target: Target, endpoint: Endpoint, names: Sequence[str]) -> AsyncIterator[Finding]:
    client = Client(endpoint.url, namespace=endpoint.namespace, pool=endpoint.pool, token=endpoint.token, encoding="json")
    async with client, httpx.AsyncClient(base_url=endpoint.url, timeout=PATIENCE) as http:
        yield await _guarded("encodings", lambda: _encodings(endpoint))
        yield await _guarded("fixtures", lambda: _fixtures(client, names))
        yield await _guarded("clock", lambda: _clock(client))
        yield await _guarded("latency", lambda: _latency(client))
        session = _Session(client, http, endpoint)
        for name, probe in PROBES.items():
            yield await _guarded(f"capability {name}", partial(_capability, target, name, probe, session))


async def _guarded(what: str, check: Callable[[], Awaitable[tuple[Health, str]]]) -> Finding:
    try:
        async with asyncio.timeout(PATIENCE * 3):
            health, text = await check()
    except (ActorError, httpx.HTTPError, TimeoutError, OSError) as error:
        return Finding(what, Health.BAD, f"{type(error).__name__}: {error}")
    return Finding(what, health, text)


async def _encodings(endpoint: Endpoint) -> tuple[Health, str]:
    """One call and one connection in every encoding."""
    for encoding in ENCODINGS:
        options: dict[str, Any] = {"namespace": endpoint.namespace, "pool": endpoint.pool, "token": endpoint.token, "encoding": encoding}
        async with Client(endpoint.url, **options) as client:
            handle = client.get_or_create("counter", [f"doctor-{secrets.token_hex(6)}"])
            if await handle.action("increment", 2) != 2:
                return Health.BAD, f"counter.increment(2) of a fresh actor is not 2 in {encoding}"
            connection = handle.connect()
            try:
                async with asyncio.timeout(PATIENCE):
                    await connection.ready()
            finally:
                await connection.dispose()
    return Health.GOOD, f"calls and connections work in {', '.join(ENCODINGS)}"


def mentioned(corpus: Path) -> list[str]:
    """The actor names that the tests of a corpus call, without those that are there to be absent or to fail."""
    names = {name for path in corpus.glob("test_*.py") for name in _FIXTURE.findall(path.read_text(encoding="utf-8"))}
    return sorted(names - NEVER_STARTED)


async def _fixtures(client: Client, names: Sequence[str]) -> tuple[Health, str]:
    """Every actor name the corpus mentions must be hosted: a call of an unknown action reaches the actor, or it is not there."""
    gate = asyncio.Semaphore(4)

    async def hosted(name: str) -> bool:
        async with gate:
            try:
                async with asyncio.timeout(PATIENCE):
                    await client.get_or_create(name, [f"doctor-{secrets.token_hex(6)}"]).action(NO_SUCH_ACTION)
            except ActorError as error:
                return f"{error.group}.{error.code}" not in MISSING
            except TimeoutError:
                return False
            return True

    found = await asyncio.gather(*(hosted(name) for name in names))
    missing = [name for name, there in zip(names, found, strict=True) if not there]
    if missing:
        health = Health.BAD if len(missing) == len(names) else Health.DOUBTFUL
        return health, f"{len(missing)} of {len(names)} actor names are not hosted or do not start: {', '.join(missing)}"
    return Health.GOOD, f"all {len(names)} actor names of the corpus are hosted"


async def _clock(client: Client) -> tuple[Health, str]:
    clock = Clock(virtual=False)
    handle = client.get_or_create("counter", [f"doctor-{secrets.token_hex(6)}"])
    before = clock.now_ms()
    actor_id = await handle.resolve()
    after = clock.now_ms()
    record = await client.rest.get_actor(actor_id)
    if record is None:
        return Health.BAD, "the manager does not list an actor that was just created"
    created = int(record["create_ts"])
    skew = max(before - created, created - after, 0)
    health = Health.GOOD if skew <= LARGEST_SKEW_MS else Health.DOUBTFUL
    return health, f"the target's clock is {skew} ms off" if skew else "the target's clock agrees with ours"


async def _latency(client: Client) -> tuple[Health, str]:
    handle = client.get_or_create("counter", [f"doctor-{secrets.token_hex(6)}"])
    loop = asyncio.get_running_loop()
    taken = []
    for _ in range(CALLS):
        before = loop.time()
        await handle.action("increment", 1)
        taken.append(loop.time() - before)
    worst = max(taken[1:])
    health = Health.GOOD if worst < SLOW else Health.DOUBTFUL
    return health, f"a call takes {statistics.median(taken) * 1000:.1f} ms, at worst {worst * 1000:.1f} ms of {CALLS}"


@dataclass(frozen=True, slots=True)
class _Session:
    """What a probe of a capability works with."""

    client: Client
    http: httpx.AsyncClient
    endpoint: Endpoint

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.endpoint.token}"} if self.endpoint.token else {}

    async def some_actor(self) -> str:
        """The id of a fresh actor."""
        return await self.client.get_or_create("counter", [f"doctor-{secrets.token_hex(6)}"]).resolve()


async def _capability(target: Target, name: str, probe: _Probe, session: _Session) -> tuple[Health, str]:
    there = await probe(session)
    declared = name in target.capabilities
    if there == declared:
        return Health.GOOD, "declared and there" if declared else "neither declared nor there"
    return (Health.BAD, "declared, but not there") if declared else (Health.DOUBTFUL, "there, but not declared: its tests are skipped")


async def _metrics(session: _Session) -> bool:
    response = await session.http.get(f"/gateway/{await session.some_actor()}/metrics", headers=session.headers)
    return response.status_code not in (httpx.codes.NOT_FOUND, httpx.codes.NOT_IMPLEMENTED)


async def _inspector(session: _Session) -> bool:
    wrong = {"authorization": "Bearer not-the-token"}
    response = await session.http.get(f"/gateway/{await session.some_actor()}/inspector/state", headers=wrong)
    with contextlib.suppress(ValueError, TypeError):
        return response.status_code == httpx.codes.OK or response.json().get("group") == "inspector"
    return False


async def _namespaces(session: _Session) -> bool:
    name = f"doctor-{secrets.token_hex(6)}"
    response = await session.http.post("/namespaces", json={"name": name, "display_name": name}, headers=session.headers)
    return response.is_success


async def _overload(session: _Session) -> bool:
    """More calls than the inbox of the overload fixture holds, all at once on one connection."""
    connection = session.client.get_or_create("overloadActor", [f"doctor-{secrets.token_hex(6)}"]).connect()
    try:
        async with asyncio.timeout(PATIENCE):
            await connection.ready()
        answers = await asyncio.gather(*(connection.action("accept") for _ in range(BURST)), return_exceptions=True)
    except (ActorError, TimeoutError):
        return False
    finally:
        await connection.dispose()
    return any(isinstance(answer, ActorError) and answer.code == "overloaded" for answer in answers)


_Probe = Callable[[_Session], Awaitable[bool]]

PROBES: dict[str, _Probe] = {"inspector": _inspector, "metrics": _metrics, "namespaces": _namespaces, "overload": _overload}
"""How to see that a target has a capability; the others show in nothing but the tests themselves."""
