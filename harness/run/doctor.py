"""Is this target fit to be judged? Looked at before any verdict is claimed: reach, fixtures, capabilities, clock, machine."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import statistics
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx

from client import ActorError, Client
from harness.errors import HarnessError
from harness.masking import VARIABLE, of_environment
from harness.run.hosted_actors import DOOMED, PATIENCE, Start, by_suite, mentioned, starts
from harness.session.stall import STALL, StallProbe
from harness.targets.url import said
from harness.testing.clock import Clock
from harness.testing.marks import ENCODINGS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.targets import Endpoint, Target

LARGEST_SKEW_MS = 1000
CALLS = 20
BURST = 200
SLOW = 0.25
PAGE = "https://a.example"

MEANS = {
    Start.HOSTED: "starts, but is there to fail",
    Start.FAILED: "its start fails",
    Start.ABSENT: "nobody hosts it",
    Start.SILENT: "no answer",
}

OURS = {"overloadActor": "overload"}
"""Names beyond the catalogue, with the capability without which a target need not host them."""


_Check = Callable[[], Awaitable[tuple["Health", str]]]


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
            # A target may make up its token when it starts, so that only now anybody knows what must not be shown.
            mask.learn(endpoint.token)
            found = [Finding("reach", Health.GOOD, f"{target.name} answers at {endpoint.url}")]
            found += await _checks(target, endpoint, names, by_suite(corpus))
    # One finding and no exception: that the target cannot be reached is the answer to the question, not a failure of the doctor.
    except HarnessError as error:
        return [Finding("reach", Health.BAD, mask.text(str(error)))]
    finally:
        await target.stop()
    health = Health.DOUBTFUL if probe.stalled else Health.GOOD
    found.append(Finding("machine", health, f"stood still for at most {probe.worst:.3f} s (timing tests tolerate {STALL} s)"))
    return mask.value(found)


async def _checks(target: Target, endpoint: Endpoint, names: Sequence[str], needs: Mapping[str, Sequence[str]]) -> list[Finding]:
    client = Client(endpoint.url, namespace=endpoint.namespace, pool=endpoint.pool, token=endpoint.token, encoding="json")
    async with client, httpx.AsyncClient(base_url=endpoint.url, timeout=PATIENCE) as http:
        session = _Session(client, http, endpoint)
        probes: dict[str, _Check] = {
            f"capability {name}": partial(_capability, target, name, probe, session) for name, probe in PROBES.items()
        }
        stages: list[dict[str, _Check]] = [
            {
                "encodings": lambda: _encodings(endpoint),
                "fixtures": lambda: _fixtures(client, names, needs),
                "clock": lambda: _clock(client),
                "operators": lambda: _operators(session),
                "pages": lambda: _pages(session),
            },
            # Alone: what goes on beside it would be measured too.
            {"latency": lambda: _latency(client)},
            probes,
        ]
        # Stage by stage; within one, side by side, as most of a check is waiting for the target.
        found: list[Finding] = []
        for stage in stages:
            found += await asyncio.gather(*(_guarded(what, check, target.time_scale) for what, check in stage.items()))
    return found


async def _guarded(what: str, check: _Check, time_scale: float) -> Finding:
    limit = PATIENCE * 3 * time_scale
    try:
        async with asyncio.timeout(limit):
            health, text = await check()
    except TimeoutError:
        return Finding(what, Health.BAD, f"not done within {limit:g} s")
    # Whatever it is: one check that fails in a way nobody foresaw must not take the others with it.
    except Exception as error:
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


async def _operators(session: _Session) -> tuple[Health, str]:
    """Whether the requests of operators are taken, with the token if there is one."""
    response = await session.http.get("/namespaces", headers=session.headers)
    if response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return Health.BAD, f"{said(response)}: the manager wants another token than {VARIABLE} says"
    return Health.GOOD, "the manager takes the requests of operators"


async def _pages(session: _Session) -> tuple[Health, str]:
    """Whether pages of other sites are answered, as suites about origins want it."""
    response = await session.http.get("/metadata", headers={"origin": PAGE})
    if response.status_code == httpx.codes.FORBIDDEN:
        return Health.DOUBTFUL, f"tests about origins fail: {said(response)}"
    return Health.GOOD, "pages of other sites are answered"


async def _fixtures(client: Client, names: Sequence[str], needs: Mapping[str, Sequence[str]]) -> tuple[Health, str]:
    """Every actor name the corpus mentions must be hosted; of those that are not, which suites need which."""
    found = await starts(client, names)
    missing = {name: start for name, start in sorted(found.items()) if start is not (Start.FAILED if name in DOOMED else Start.HOSTED)}
    if missing:
        health = Health.BAD if len(missing) == len(names) else Health.DOUBTFUL
        kinds = [f"{', '.join(some)} ({MEANS[kind]})" for kind in Start if (some := [name for name, one in missing.items() if one is kind])]
        lacking = {suite: [name for name in some if name in missing] for suite, some in needs.items()}
        suites = [f"\n  {suite}: {', '.join(some)}" for suite, some in lacking.items() if some]
        told = f"{len(missing)} of {len(names)} actor names are not hosted or do not start: {'; '.join(kinds)}"
        return health, f"{told}; {len(suites)} suites need them:{''.join(suites)}" if suites else told
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
    # Without the first call, which also starts the actor.
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
    def headers(self) -> dict[bytes, bytes]:
        # Bytes, as of texts httpx sends ASCII only.
        return {b"authorization": f"Bearer {self.endpoint.token}".encode()} if self.endpoint.token else {}

    async def some_actor(self) -> str:
        """The id of a fresh actor."""
        return await self.client.get_or_create("counter", [f"doctor-{secrets.token_hex(6)}"]).resolve()


async def _capability(target: Target, name: str, probe: _Probe, session: _Session) -> tuple[Health, str]:
    there = await probe(session)
    declared = name in target.capabilities
    # Both ways: too much declared makes failures, too little makes skips that look like a narrow target.
    if there == declared:
        return Health.GOOD, "declared and there" if declared else "neither declared nor there"
    return (Health.BAD, "declared, but not there") if declared else (Health.DOUBTFUL, "there, but not declared: its tests are skipped")


async def _metrics(session: _Session) -> bool:
    response = await session.http.get(f"/gateway/{await session.some_actor()}/metrics", headers=session.headers)
    return response.status_code not in (httpx.codes.NOT_FOUND, httpx.codes.NOT_IMPLEMENTED)


async def _inspector(session: _Session) -> bool:
    # With a wrong token: its refusal comes from the inspector itself, so it shows one without our having its token.
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
