"""Where samples are played: a server in this process on virtual time, with the actors that the page declares.

The samples of a page share their names, as its reader does. What declares something is run first; then everything is served, and
what awaits is run in order: inside an action when it uses the context `c`, else as a client. Class attributes that stand alone
(`queues = {...}`) are those of the actor inside which the page's samples run.
"""

from __future__ import annotations

import asyncio
import dis
import inspect
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

import client
import runtime
from runtime.declaration.definition import ActorDefinition
from runtime.workflow import StepContext, WorkflowContext, workflow

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import CodeType

    import pytest

    from tests.docs.samples import Sample

ATTRIBUTES = ("options", "state", "vars", "events", "queues", "database")
PATIENCE = 30
"""Virtual seconds after which a sample that receives for ever (`async for`) has been seen to work."""


class Base(DeclarativeBase):
    """Of the tables that samples with SQLAlchemy use."""


class User(Base):
    """One of them."""

    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Counter(runtime.Actor):
    """The actor of every first sample."""

    name = "counter"
    state: ClassVar = {"count": 0}
    events: ClassVar = {"newCount": runtime.Event()}

    @runtime.action
    def increment(self, c: runtime.Context, amount: int = 1) -> int:
        c.state.count += amount
        c.broadcast("newCount", c.state.count)
        return c.state.count


async def _tables(db: Any) -> None:
    await db.execute("CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY, name TEXT, value TEXT)")
    await db.execute("CREATE TABLE IF NOT EXISTS accounts (id INTEGER PRIMARY KEY, amount INTEGER)")


def names() -> dict[str, Any]:
    """What a sample may use without having imported it."""
    public = {name: getattr(runtime, name) for name in runtime.__all__}
    workflows = {"workflow": workflow, "StepContext": StepContext, "WorkflowContext": WorkflowContext}
    return {
        **public,
        **workflows,
        "Base": Base,
        "User": User,
        "func": func,
        "select": select,
        "source": 1,
        "target": 2,
        "__name__": "sample",
    }


def declared(scope: dict[str, Any]) -> list[type[runtime.Actor]]:
    """The actors that the samples made."""
    found = (value for value in scope.values() if inspect.isclass(value) and issubclass(value, runtime.Actor))
    return list(dict.fromkeys(actor for actor in found if actor is not runtime.Actor))


def loaded(code: CodeType) -> set[str]:
    """The names that code and the functions in it read and do not set themselves."""
    codes = [code]
    found: set[str] = set()
    made: set[str] = set()
    while codes:
        one = codes.pop()
        codes += [constant for constant in one.co_consts if inspect.iscode(constant)]
        for instruction in dis.get_instructions(one):
            if instruction.opname in ("LOAD_NAME", "LOAD_GLOBAL"):
                found.add(instruction.argval)
            elif instruction.opname in ("STORE_NAME", "STORE_GLOBAL"):
                made.add(instruction.argval)
    return found - made - {"__name__"}


def _stage(scope: dict[str, Any], play: Any) -> type[runtime.Actor]:
    """The actor inside which samples run: the last one that was declared, else one with a queue and a database."""
    body = {name: scope[name] for name in ATTRIBUTES if name in scope}
    actors = declared(scope)
    plain = {
        "queues": {"jobs": runtime.Queue()},
        "events": {"changed": runtime.Event()},
        "state": {"count": 0},
        "database": runtime.sqlalchemy_database(metadata=Base.metadata, on_migrate=_tables),
    }
    return type("Stage", (actors[-1] if actors else runtime.Actor,), {**({} if actors else plain), **body, "name": "stage", "play": play})


async def perform(samples: Iterable[Sample], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the Python samples of one page; an exception of any is raised."""

    async def serve(*_: object, **__: object) -> None: ...

    monkeypatch.setattr(runtime, "run", lambda *_, **__: None)
    monkeypatch.setattr(runtime, "serve", serve)
    scope = names()
    waiting: list[tuple[Sample, CodeType]] = []
    for sample in samples:
        code = sample.compiled()
        if code.co_flags & inspect.CO_COROUTINE:
            waiting.append((sample, code))
        else:
            exec(code, scope)
    if waiting or declared(scope):
        await _performed(waiting, scope, monkeypatch)


async def _performed(waiting: Sequence[tuple[Sample, CodeType]], scope: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[BaseException] = []
    queue = list(waiting)

    async def play(self: object, c: runtime.Context) -> None:
        sample, code = queue[0]
        scope["c"] = c
        try:
            async with asyncio.timeout(PATIENCE):
                await eval(code, scope)
        except TimeoutError:
            if "async for" not in sample.code:
                failures.append(AssertionError(f"{sample} never ends"))
        except Exception as error:
            failures.append(error)

    actors = [*declared(scope), _stage(scope, runtime.action(play))]
    if all(ActorDefinition.of(actor).name != Counter.name for actor in actors):
        actors.append(Counter)
    async with runtime.InProcessServer(runtime.create_app(runtime.Registry(*actors))) as server:
        real = client.Client
        monkeypatch.setattr(client, "Client", lambda _url, **options: real(server.url, **options))
        async with real(server.url) as caller:
            scope |= {"client": caller, "Client": client.Client, "handle": caller.get_or_create("counter", ["sample"])}
            scope |= {"server": server, "registry": runtime.Registry(*actors)}
            while queue:
                _, code = queue[0]
                if "c" in loaded(code):
                    await caller.get_or_create("stage", ["sample"]).action("play")
                else:
                    await eval(code, scope)
                for failure in failures:
                    raise failure
                del queue[0]
