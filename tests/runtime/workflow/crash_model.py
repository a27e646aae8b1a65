"""Random workflows as data, what runs them, and a storage that dies at a chosen commit."""

import asyncio
import itertools
from collections import Counter
from dataclasses import dataclass

from hypothesis import strategies as st

from runtime.workflow import Break, Continue, CriticalError
from runtime.workflow.history import COMPLETED, path_text
from tests.runtime.workflow.support import BreakableStorage, Flow

FINAL = ("completed", "failed")


@dataclass(frozen=True)
class Step:
    """Adds its path to the actor's log; its first `failures` attempts fail. `undo` gives it a rollback."""

    name: str
    failures: int = 0
    undo: bool = False


@dataclass(frozen=True)
class Sleep:
    name: str
    seconds: float


@dataclass(frozen=True)
class Loop:
    """`body` a number of times; its state counts."""

    name: str
    turns: int
    body: tuple


@dataclass(frozen=True)
class Join:
    name: str
    branches: tuple


@dataclass(frozen=True)
class Race:
    """The body against a branch that never ends."""

    name: str
    body: tuple


@dataclass(frozen=True)
class Try:
    """The body, and, when it `fails`, a critical failure that is caught."""

    name: str
    body: tuple
    fails: bool


@dataclass(frozen=True)
class Plan:
    """A workflow; one that `fails` ends in a critical failure, so that its steps are rolled back."""

    body: tuple
    fails: bool = False


@dataclass(frozen=True)
class Kill:
    """The process dies at its commit number `commit` (from 1), before or after the storage has it."""

    commit: int
    after: bool


def _named(build):
    """Give every operation of a scope a name of its own."""
    return st.lists(build, min_size=1, max_size=3).map(lambda makes: tuple(make(f"n{index}") for index, make in enumerate(makes)))


_LEAF = st.one_of(
    st.builds(lambda failures, undo: lambda name: Step(name, failures, undo), st.integers(0, 2), st.booleans()),
    st.sampled_from([0.0, 0.05, 0.2]).map(lambda seconds: lambda name: Sleep(name, seconds)),
)


def _scopes(inner):
    body = _named(inner)
    return st.one_of(
        st.builds(lambda turns, ops: lambda name: Loop(name, turns, ops), st.integers(1, 3), body),
        st.builds(lambda branches: lambda name: Join(name, tuple(branches)), st.lists(body, min_size=1, max_size=3)),
        st.builds(lambda ops: lambda name: Race(name, ops), body),
        st.builds(lambda ops, fails: lambda name: Try(name, ops, fails), body, st.booleans()),
    )


PLANS = st.builds(Plan, _named(st.recursive(_LEAF, _scopes, max_leaves=8)), st.booleans())
KILLS = st.lists(st.builds(Kill, st.integers(1, 12), st.booleans()), min_size=1, max_size=4).map(tuple)


class MortalStorage(BreakableStorage):
    """Dies at a commit: that one and all later ones never return before `bury()`, and only what was committed stays."""

    def __init__(self, directory):
        super().__init__(directory)
        self.dead = asyncio.Event()
        self._buried = asyncio.Event()
        self._left = None
        self._after = False
        self.count = 0

    def arm(self, kill):
        """Die at that commit, counted from now."""
        self._left, self._after = kill.commit, kill.after

    async def commit(self, scope, ops):
        ops = list(ops)
        self.count += 1
        if not self.dead.is_set() and self._left is not None:
            self._left -= 1
            if self._left == 0:
                if self._after:
                    await super().commit(scope, ops)
                self.dead.set()
        if self.dead.is_set():
            await self._buried.wait()
            raise OSError("the process was killed")
        await super().commit(scope, ops)

    def bury(self):
        """Let what still waits go, without storing anything of it."""
        self._buried.set()

    def revive(self):
        """The next process."""
        self.dead.clear()
        self._buried.clear()
        self._left = None


class Mortal(Flow):
    """Runs a plan through crashes and counts, outside of the actor, how often each step ran.

    Attributes:
        ran: Runs of step bodies, by path; those of a dead process do not count.
        settled: What `ran` was for a step when its completion was first found in storage.
        unsafe: Steps that were not stored yet when the next one of their scope ran.
    """

    def __init__(self, directory):
        super().__init__(directory)
        self.storage = MortalStorage(directory)
        self.ran = Counter()
        self.settled = {}
        self.unsafe = []
        self.crashes = 0

    async def perform(self, plan, kills=()):
        """Run it to its end, with a crash per kill that finds a commit; its outcome and the actor's log."""
        body = self._workflow(plan)
        for kill in kills:
            if await self._generation(body, kill):
                return await self._result()
        for _ in range(50):
            if await self._generation(body, None):
                self._commits = self.storage.count
                return await self._result()
        raise AssertionError(f"{plan} does not end")

    @property
    def commits_of_plan(self):
        """Commits until the workflow was over."""
        return self._commits

    async def _generation(self, body, kill):
        """One process; whether the workflow is over."""
        self.storage.revive()
        if kill is not None:
            self.storage.arm(kill)
        life = asyncio.ensure_future(self._live(body))
        death = asyncio.ensure_future(self.storage.dead.wait())
        await asyncio.wait((life, death), return_when=asyncio.FIRST_COMPLETED)
        self.crashes += self.storage.dead.is_set()
        self.storage.bury()
        await asyncio.gather(life, return_exceptions=True)
        death.cancel()
        if self.task is not None:
            await self.stop()
        self.stop_error = None
        for path in await self._completed():
            self.settled.setdefault(path, self.ran[path])
        return await self.state() in FINAL

    async def _completed(self):
        """Paths of the steps whose completion is stored."""
        entries = (await self.stored()).entries.values()
        return {path_text(one.location) for one in entries if one.kind == "step" and one.meta is not None and one.meta.status == COMPLETED}

    async def _live(self, body):
        await self.begin(body)
        await self.ended()

    async def _result(self):
        outcome = (await self.stored()).outcome
        await self.begin()
        log = await self.call("read")
        await self.stop()
        return outcome.state, outcome.output, outcome.error, sorted(log["log"])

    def _workflow(self, plan):
        async def body(ctx):
            values = []
            if plan.fails:
                await ctx.rollback_checkpoint("checkpoint")
            await self._all(ctx, plan.body, (), values)
            if plan.fails:
                await ctx.step("end", _critical)
            return values

        return body

    async def _all(self, ctx, ops, scope, values):
        earlier = []
        for op in ops:
            values.append(await self._one(ctx, op, (*scope, op.name), tuple(earlier)))
            if isinstance(op, Step):
                earlier.append("/".join((*scope, op.name)))

    async def _one(self, ctx, op, path, earlier):
        match op:
            case Step():
                undo = {"rollback": self._undo(path)} if op.undo and ctx.has_checkpoint else {}
                return await ctx.step(op.name, self._effect(op, path, earlier), max_retries=8, retry_backoff_base=0.01, **undo)
            case Sleep():
                return await ctx.sleep(op.name, op.seconds)
            case Loop():
                return await ctx.loop(op.name, self._turn(op, path), state=0)
            case Join():
                names = [f"b{index}" for index in range(len(op.branches))]
                branches = {name: self._branch(ops, (*path, name)) for name, ops in zip(names, op.branches, strict=True)}
                return await ctx.join(op.name, branches)
            case Race():
                return await ctx.race(op.name, {"quick": self._branch(op.body, (*path, "quick")), "never": _never})
            case Try():
                return (await ctx.try_(op.name, self._guarded(op, path))).ok
        raise AssertionError(op)

    def _turn(self, op, path):
        async def turn(ctx, count):
            values = []
            await self._all(ctx, op.body, (*path, f"~{count}"), values)
            return Continue(count + 1) if count + 1 < op.turns else Break(values)

        return turn

    def _branch(self, ops, path):
        async def branch(ctx):
            values = []
            await self._all(ctx, ops, path, values)
            return values

        return branch

    def _guarded(self, op, path):
        async def guarded(ctx):
            await self._all(ctx, op.body, path, [])
            if op.fails:
                await ctx.step("bad", _critical)

        return guarded

    def _effect(self, op, path, earlier):
        name = "/".join(path)

        async def effect(step):
            if not self.storage.dead.is_set():
                self.ran[name] += 1
                self.unsafe += set(earlier) - await self._completed()
            if self.ran[name] <= op.failures:
                raise RuntimeError("not yet")
            step.state.log.append(name)
            return len(path)

        return effect

    def _undo(self, path):
        name = "undo " + "/".join(path)

        def undo(step, output):
            if not self.storage.dead.is_set():
                self.ran[name] += 1
            step.state.log.append(name)

        return undo


def _critical(step):
    raise CriticalError("no")


async def _never(ctx):
    for number in itertools.count():
        await ctx.sleep(f"s{number}", 1000)
