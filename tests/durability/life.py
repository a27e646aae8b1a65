"""The scripted life: step by step, what is asked of the actors, and what must hold once it was answered.

The steps are data that two processes share: the one that lives, and the one that knows what it was told.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tests.durability.actors import GROUPS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from client import Client, Connection, Handle

PATIENCE = 100.0
"""Virtual seconds for one step: whoever is answered later hangs."""
VARIANTS = ("plain", "stored")
JOINED = 11
"""The number of what is called inside of a transaction that commits."""
Register = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """What a step does to one register.

    Attributes:
        promised: What the register may hold once the step was acknowledged.
        possible: What it may hold besides as long as it was not.
        tried: What it may hold besides once anything failed: an error may come after the deed.
    """

    register: Register
    promised: tuple[Any, ...]
    possible: tuple[Any, ...] = ()
    tried: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is asked.

    Attributes:
        kind: What it shows.
        door: Part of "METHOD path" of the request whose good answer acknowledges it; `ws` for a frame, None when nothing is promised.
    """

    kind: str
    do: Callable[[Life], Awaitable[object]]
    door: str | None = None
    claims: tuple[Claim, ...] = ()
    gives: bool = False
    """Its answer says which message it was about; after a fault it may be another one than in a life without."""


@dataclass
class Life:
    """What the living process keeps between steps."""

    client: Client
    ids: dict[tuple[str, str], str] = field(default_factory=dict)
    connections: dict[str, Connection] = field(default_factory=dict)

    async def create(self, name: str, key: str = "k", value: Any = None) -> None:
        """Create an actor and remember it."""
        record = await self.client.rest.create_actor(name, [key], value=value)
        self.ids[name, key] = record["actor_id"]

    def of(self, name: str, key: str = "k") -> Handle:
        """A handle to an actor, by its id: one request per call."""
        known = self.ids.get((name, key))
        return self.client.get(name, [key]) if known is None else self.client.get_for_id(name, known)


def script() -> list[Step]:
    """The whole life."""
    steps = []
    for name in VARIANTS:
        steps += [*_creation(name), *_state(name), *_queue(name), *_schedules(name), *_key_values(name)]
    steps += [*_database(), *_workflows(), *_connections()]
    for name in VARIANTS:
        steps += [*_sleep(name), *_alarms(name), *_destroy(name)]
    # What was refused is saved again by then.
    return [*steps, Step("rest", lambda _: asyncio.sleep(5))]


def call(kind: str, name: str, action: str, *args: Any, claims: tuple[Claim, ...] = (), key: str = "k") -> Step:
    """An action by HTTP."""
    return Step(kind, lambda life: life.of(name, key).action(action, *args), f"/action/{action}", claims)


def wait(kind: str, seconds: float) -> Step:
    """Let time pass."""
    return Step(kind, lambda _: asyncio.sleep(seconds))


def sets(*register: Any, to: Any, over: Any = None) -> Claim:
    """The register holds `to`, or, when that was not acknowledged, what it held before."""
    return Claim(register, (to,), () if over is None else (over,))


def _creation(name: str) -> list[Step]:
    return [Step("creation", lambda life: life.create(name, value="ada"), "POST /actors", (sets("owner", name, "k", to="ada"),))]


def _state(name: str) -> list[Step]:
    return [
        call("immediate save", name, "save", 1, claims=(sets("saved", name, to=1),)),
        call("immediate save", name, "save", 2, claims=(sets("saved", name, to=2),)),
    ]


def _queue(name: str) -> list[Step]:
    def send(n: int, *, inside: bool = False) -> Step:
        claims = (sets("queued", name, n, to=True),)
        if inside:
            return call("queue send", name, "enqueue", n, claims=claims)
        return Step("queue send", lambda life: life.of(name).send("work", n), "/queue/work", claims)

    async def ask(life: Life) -> None:
        await life.of(name).send("asked", 9, wait=True, timeout=50)

    def taken(n: int) -> Claim:
        return Claim(("queued", name, n), (False,))

    # The message is delivered at least once: a completion that did not become durable has it answered again.
    asked = Claim(("done", name, 9), (1,), (1, 2), (1, 2, 3))
    return [
        send(1), send(2), send(3, inside=True), send(4),
        replace(call("queue completion", name, "consume", claims=(taken(1),)), gives=True),
        replace(call("queue receive", name, "take", claims=(taken(2),)), gives=True),
        Step("queue completion", ask, "/queue/asked", (asked,)),
    ]  # fmt: skip


def _fires(name: str, n: int, times: int) -> Claim:
    return Claim(("fires", name, n), (times,), (0, 1))


def _schedules(name: str) -> list[Step]:
    def cron(action: str, *args: Any) -> Step:
        return call("cron", name, action, *args, claims=(sets("cron", name, args[0], to=True), sets("late ticks", name, args[0], to=True)))

    def uncron(which: str) -> Step:
        claims = tuple(sets(what, name, which, to=False) for what in ("cron", "late ticks"))
        return call("cron deletion", name, "uncron", which, claims=claims)

    return [
        call("schedule", name, "after", 400, 1, claims=(_fires(name, 1, 1),)),
        call("schedule", name, "at", 400, 2, claims=(_fires(name, 2, 1),)),
        call("schedule", name, "after", 400, 3, claims=(_fires(name, 3, 1),)),
        call("schedule cancellation", name, "cancel", 3, claims=(_fires(name, 3, 0),)),
        cron("every", "often", 10),
        cron("cron", "minutely", "* * * * *"),
        cron("every", "gone", 300),
        uncron("gone"),
        wait("cron history", 35),
        uncron("minutely"),
        # From here on it only fires in the next process.
        cron("every", "often", 600),
        call("schedule", name, "after", 2, 4, claims=(_fires(name, 4, 1),)),
        wait("schedule fire", 4),
    ]  # fmt: skip


def _key_values(name: str) -> list[Step]:
    def one(kind: str, action: str, value: Any, *args: Any) -> Step:
        return call(kind, name, action, *args, claims=(sets("kv", name, args[0], to=value),))

    def group(kind: str, action: str, which: str, value: Any, *args: Any) -> Step:
        return call(kind, name, action, *args, claims=(sets("kv group", name, which, to=(value,) * len(GROUPS[which])),))

    return [
        one("key-value put", "put", "1", "a", "1"), one("key-value put", "put", "2", "a", "2"), one("key-value put", "put", "x", "b", "x"),
        one("key-value delete", "delete", None, "b"),
        group("key-value batch", "batch", "batch", "x", "batch", "x"), group("key-value batch", "batch", "range", "y", "range", "y"),
        group("key-value batch", "unbatch", "batch", None, "batch"), group("key-value range", "unrange", "range", None),
    ]  # fmt: skip


def _database() -> list[Step]:
    def pair(kind: str, action: str, n: int, *, kept: int = 2) -> Step:
        return call(kind, "stored", action, n, claims=(sets("pairs", n, to=kept),))

    def joined(action: str, n: int, times: int) -> Step:
        whole = (sets("pairs", n, to=2 * times), sets("queued", "stored", n, to=times > 0), _fires("stored", n, times))
        # What a rollback leaves unsaved is saved later.
        saved = sets("saved", "stored", to=n) if times else Claim(("saved", "stored"), (JOINED, n))
        return call("calls in a transaction", "stored", action, n, claims=(*whole, saved))

    rows = (sets("items", 2, to=1), sets("items", 3, to=1))
    return [
        call("database statement", "stored", "insert", 1, claims=(sets("items", 1, to=1),)),
        call("database statement", "stored", "script", 2, claims=rows),
        pair("database transaction", "pair", 1), pair("database transaction", "undone", 2, kept=0),
        pair("manual transaction", "manual", 3), pair("database transaction", "pair", 4),
        joined("joined", JOINED, 1), joined("unjoined", JOINED + 1, 0),
    ]  # fmt: skip


def _workflows() -> list[Step]:
    def make(name: str) -> Step:
        return Step("workflow", lambda life: life.create(name), "POST /actors", (sets("owner", name, "k", to=True),))

    def go(name: str) -> Step:
        return Step("workflow receive", lambda life: life.of(name).send("go", 1), "/queue/go")

    steps = []
    for name in ("flow", "storedFlow"):
        steps += [make(name), wait("workflow", 1), wait("workflow sleep", 3), go(name), wait("workflow receive", 1)]
    return [*steps, make("undo"), wait("workflow rollback", 3)]


def _connections() -> list[Step]:
    async def connect(life: Life) -> None:
        # A client would look for ever for a room that could not be created.
        if ("room", "k") not in life.ids:
            raise LookupError("there is no room")
        connection = life.connections["room"] = life.of("room").connect()
        await connection.action("left")

    def remember(n: int) -> Step:
        # It is noted once when the connection is gone; with its last state, whose predecessor is what an unanswered one leaves.
        claims = (Claim(("left", n), (True,), (True, False)), Claim(("left", n - 1), (False,), (True, False), (True,)))
        return Step("connection state", lambda life: life.connections["room"].action("remember", n), "ws", claims)

    return [
        Step("creation", lambda life: life.create("room"), "POST /actors", (sets("owner", "room", "k", to=True),)),
        Step("connection", connect), remember(1), call("sleep", "room", "nap"), wait("sleep", 3), remember(2), remember(3),
    ]  # fmt: skip


def _sleep(name: str) -> list[Step]:
    # What an assignment made, the next generation has read from storage.
    counted = Step("throttled state", lambda life: life.of(name).action("count", 7), None,
                   (Claim(("throttled", name), (7,), (7,)),))  # fmt: skip
    return [
        counted, call("sleep", name, "nap"), wait("sleep", 3),
        call("wake", name, "look", claims=(sets("throttled", name, to=7),)),
    ]  # fmt: skip


def _alarms(name: str) -> list[Step]:
    return [
        call("immediate save", name, "slow"),
        call("schedule", name, "after", 5, 5, claims=(_fires(name, 5, 1),)),
        call("sleep", name, "nap"),
        wait("alarm", 9),
    ]


def _destroy(name: str) -> list[Step]:
    async def destroy(life: Life, key: str) -> None:
        await life.client.rest.destroy_actor(life.ids[name, key])

    async def gone(life: Life, key: str) -> None:
        for _ in range(20):
            if await life.client.rest.find_actor(name, [key]) is None:
                return
            await asyncio.sleep(0.5)
        raise LookupError("it is still there")

    steps = []
    for key in ("deleted", "ended"):
        whole: Register = ("whole", name, key)
        steps += [
            Step(
                "creation",
                lambda life, key=key: life.create(name, key, "bob"),
                "POST /actors",
                (sets("owner", name, key, to="bob"), Claim(whole, (False,))),
            ),
            call("immediate save", name, "save", 5, key=key),
            call("key-value put", name, "put", "a", "5", key=key),
            *([call("database statement", name, "insert", 5, key=key)] if name == "stored" else []),
            call("immediate save", name, "save", 6, key=key, claims=(Claim(whole, (True,), (), (False,)),)),
        ]
        claims = (sets("owner", name, key, to=None), Claim(whole, (None,)))
        if key == "deleted":
            steps.append(Step("destroy", lambda life, key=key: destroy(life, key), "DELETE /actors", claims))
        else:
            # The answer promises nothing, a list without the actor does.
            steps.append(Step("destroy", lambda life, key=key: life.of(name, key).action("end"), None, claims))
            steps.append(Step("destroy", lambda life, key=key: gone(life, key), "done", claims))
    anew = (sets("owner", name, "deleted", to="eve"), Claim(("whole", name, "deleted"), (False,), (None,)))
    return [*steps, Step("creation", lambda life: life.create(name, "deleted", "eve"), "POST /actors", anew)]
