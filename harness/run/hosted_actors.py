"""Which actor names of a corpus a target hosts.

A name that nobody hosts is mostly not refused: a call of it waits until the target gives up. So the call is only made to have the actor
started, and what is looked at is its record: it says at once that an actor started, or why it did not. How long a target that says neither
is waited for is learned from the names that did start.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from client import ActorError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from client import Client

# By text: to import the modules of a corpus outside pytest would run their marks and whatever else stands in them.
_CALL = re.compile(r"\b(?:get_or_create|create|made\(conform,)\(?\s*\"([A-Za-z][A-Za-z0-9]*)\"")
_LITERAL = re.compile(r"\"([A-Za-z][A-Za-z0-9]*)\"")
_SUITE = re.compile(r"\bsuite\(\s*\"([^\"]+)\"")
_HELPER = re.compile(r"^from [A-Za-z_]+\.([A-Za-z_]+) import", re.MULTILINE)
_INTERPRETER = re.compile(r"^from harness\.testing\.interpreter import", re.MULTILINE)
OBSERVERS = frozenset({"interpreterTrace", "interpreterLatch"})
"""What a suite that uses the interpreter actors needs besides them."""
ABSENT = "noSuch"
"""Names that begin so are those that a corpus calls because no runtime hosts them."""
DOOMED = frozenset({"dbLifecycleFailing"})
"""Names whose actors are there to fail when they start: that they do is no fault."""
NO_SUCH_ACTION = "conformDoctorAsksForAnActionThatNoActorHas"
MISSING = {"actor.not_registered", "guard.actor_wake_retries_exceeded", "guard.actor_ready_timeout", "actor.not_configured"}
"""What a call of an actor that is not hosted or does not start may come to."""
PATIENCE = 20.0
"""Seconds the first names may take; the others are measured by them."""
# Even of a fast target no name is given up sooner: one slow start must not be told as one that is missing.
LEAST = 2.0
ENOUGH = 8
SLOWER = 10
AT_ONCE = 8
POLL = 0.05
SECOND_TRY = 1.0
"""Seconds a target has to try again an actor whose first start failed: some fixtures fail once on purpose."""


class Start(StrEnum):
    """What became of the start of an actor."""

    HOSTED = "hosted"
    FAILED = "failed"
    ABSENT = "absent"
    SILENT = "silent"


@dataclass(slots=True)
class _Known:
    """What is known of a target so far: how long names took that started (seconds), and the actors made."""

    patience: float
    taken: list[float] = field(default_factory=list)
    hopeless: bool = False
    made: list[str] = field(default_factory=list)

    def limit(self) -> float:
        """How long a name is waited for: the longer it is, the less is known."""
        if self.hopeless:
            return 0.0
        return max(LEAST, SLOWER * max(self.taken)) if len(self.taken) >= ENOUGH else self.patience


def mentioned(corpus: Path) -> list[str]:
    """The actor names that the tests of a corpus call, without those that are there to be absent."""
    names = {name for path in corpus.glob("test_*.py") for name in _CALL.findall(path.read_text(encoding="utf-8"))}
    return sorted(name for name in names if not name.startswith(ABSENT))


def by_suite(corpus: Path) -> dict[str, list[str]]:
    """The actor names that each suite of a corpus needs, as its text and that of the helpers it imports have them.

    A name counts where it stands as a text, also in the parameters of a test; one in small letters in calls only.
    """
    texts = {path.stem: path.read_text(encoding="utf-8") for path in corpus.glob("*.py")}
    known = {name for text in texts.values() for name in _CALL.findall(text) if not name.startswith(ABSENT)}
    known |= {name for text in texts.values() for name in _LITERAL.findall(text) if name.startswith("interpreter")}
    needed: dict[str, set[str]] = {}
    for stem, text in texts.items():
        if not stem.startswith("test_") or (suite := _SUITE.search(text)) is None:
            continue
        read = [text, *(texts[helper] for helper in _HELPER.findall(text) if helper in texts)]
        names = {name for one in read for name in _CALL.findall(one)} | {
            # A name in small letters is a word as well, such as "sleep": it counts in calls only.
            name
            for one in read
            for name in _LITERAL.findall(one)
            if not name.islower() or name == "interpreter"
        }
        names &= known
        if any(_INTERPRETER.search(one) for one in read):
            names |= OBSERVERS
        needed.setdefault(suite[1], set()).update(names)
    return {suite: sorted(names) for suite, names in sorted(needed.items())}


async def starts(client: Client, names: Iterable[str], patience: float = PATIENCE) -> Mapping[str, Start]:
    """Start one actor of each name, see what becomes of it, and destroy it.

    `patience` in seconds is for a target of which nothing is known yet.
    """
    gate = asyncio.Semaphore(AT_ONCE)
    known = _Known(patience)

    async def one(name: str) -> tuple[str, Start]:
        async with gate:
            found = Start.SILENT if known.hopeless else await _start(client, name, known)
        # A target that starts nothing within its whole patience is not asked for a hundred names more.
        known.hopeless = known.hopeless or (found is Start.SILENT and not known.taken)
        return name, found

    found = dict(await asyncio.gather(*(one(name) for name in names)))
    await _destroy(client, known.made)
    return found


async def _start(client: Client, name: str, known: _Known) -> Start:
    clock = asyncio.get_running_loop()
    began = clock.time()
    # A task of its own, because what it may take is learned meanwhile: other names that start shorten the wait.
    looking = clock.create_task(_look(client, name, known.made))
    try:
        while not looking.done():
            if clock.time() - began >= known.limit():
                return Start.SILENT
            await asyncio.wait({looking}, timeout=POLL)
    finally:
        looking.cancel()
        await asyncio.wait({looking})
    found = looking.result()
    if found is Start.HOSTED:
        known.taken.append(clock.time() - began)
    return found


async def _look(client: Client, name: str, made: list[str]) -> Start:
    """Call a fresh actor and read its record until it is clear what became of its start."""
    clock = asyncio.get_running_loop()
    handle = client.get_or_create(name, [f"doctor-{secrets.token_hex(6)}"])
    try:
        actor_id = await handle.resolve()
    except ActorError as error:
        return _refused(error)
    made.append(actor_id)
    # An action that no actor has: every other one might do something, and its refusal shows that the actor is there.
    call = clock.create_task(handle.action(NO_SUCH_ACTION))
    failing = None
    try:
        while True:
            record = await client.rest.get_actor(actor_id)
            # One that is gone has destroyed itself, for which it had to start.
            if record is None or record.get("start_ts") is not None:
                return Start.HOSTED
            if f"'{name}' is not registered" in str(record.get("error")):  # START-069
                return Start.ABSENT
            if record.get("error") is not None:
                failing = clock.time() if failing is None else failing
                # Not at the first error: some fixtures fail once on purpose, and the target tries again by itself.
                if clock.time() - failing >= SECOND_TRY:
                    return Start.FAILED
            elif call.done():
                said = call.exception()
                return _refused(said) if isinstance(said, ActorError) else Start.HOSTED
            await asyncio.sleep(POLL)
    finally:
        call.cancel()
        await asyncio.wait({call})


def _refused(error: ActorError) -> Start:
    """What an error of a call says; one that comes from the actor itself shows that it is there."""
    code = f"{error.group}.{error.code}"
    if code == "actor.not_registered":
        return Start.ABSENT
    return Start.FAILED if code in MISSING else Start.HOSTED


async def _destroy(client: Client, actor_ids: Iterable[str]) -> None:
    """Leave nothing behind: some fixtures keep a target from stopping for their whole grace period."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(actor_id: str) -> None:
        async with gate:
            with contextlib.suppress(ActorError):
                await client.rest.destroy_actor(actor_id)

    # A limit for all of them together: tidying up must not take longer than the look itself did.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LEAST):
            await asyncio.gather(*(one(actor_id) for actor_id in actor_ids))
