"""What must hold after a life, known to a process that did not take part in it: it has the script, and what the nursery wrote down."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tests.durability.actors import FLOWED, GROUPS, UNDONE
from tests.durability.commits import WRITES
from tests.durability.life import JOINED, VARIANTS, Register, Step

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REMOVED = {"-schedule", "delete _rivet_schedule_events"}
REFUSED_START = "RuntimeError: the application did not start"
SIDES = ("left", "right")
INITIAL = {
    "saved": 0, "throttled": 0, "queued": False, "done": 0, "fires": 0, "cron": False, "late ticks": False, "items": 0, "pairs": 0,
    "left": False,
}  # fmt: skip
"""What a register holds before anything was asked; None is what there is not."""
VERBS = {verb.lower() for verb in WRITES}
UNAIDED = 200
"""Seconds that the next process leaves its actors alone."""
Told = dict[str, Any]
"""What the nursery wrote down of one child."""


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of a life: its number, what was asked for meanwhile, what it wrote, and whether it was done."""

    number: int
    kind: str
    label: str
    step: int
    done: bool

    @property
    def place(self) -> str:
        """Whose rows they are."""
        first = self.label.partition(" ")[0]
        return "host" if first == "host" else "actor's file" if first.lower() in VERBS else "shared file"


@dataclass
class Known:
    """What is known of a life.

    Attributes:
        allowed: What each register may hold; one that is not here was never touched.
        promises: Acknowledgements.
        problems: What was wrong already while it lived.
    """

    allowed: dict[Register, set[Any]] = field(default_factory=dict)
    commits: list[Commit] = field(default_factory=list)
    promises: int = 0
    refused: int = 0
    problems: list[str] = field(default_factory=list)


def known(steps: list[Step], told: Told, *, faults: bool) -> Known:
    """Take in a life; `faults` says that commits were refused and not that the process was killed."""
    reader = _Reader(steps, faults)
    for what, *rest in told["events"]:
        getattr(reader, f"on_{what}", lambda *_: None)(*rest)
    reader.settle()
    if told["hung"]:
        reader.life.problems.append("it hung")
    _forgive_claimed_fires(reader.life, steps)
    return reader.life


class _Reader:
    """Goes through what a child said."""

    def __init__(self, steps: list[Step], faults: bool) -> None:
        self.life = Known()
        self._steps = steps
        self._faults = faults
        self._current = -1
        self._answered = self._failed = False

    @property
    def _step(self) -> Step | None:
        return None if self._current < 0 else self._steps[self._current]

    def settle(self) -> None:
        """The step is over: what it was acknowledged is promised."""
        step = self._step
        if step is None or not self._answered or self._failed or (self._faults and step.gives):
            return
        self.life.promises += bool(step.claims)
        for claim in step.claims:
            self.life.allowed[claim.register] = {*claim.promised, *(claim.tried if self._faults else ())}

    def on_try(self, number: int) -> None:
        self.settle()
        self._current, self._answered, self._failed = number, False, False
        for claim in self._steps[number].claims:
            before = self.life.allowed.get(claim.register, {initial(claim.register)})
            self.life.allowed[claim.register] = {*before, *claim.promised, *claim.possible, *(claim.tried if self._faults else ())}

    def on_answer(self, where: str, status: int) -> None:
        door = None if self._step is None else self._step.door
        self._answered = self._answered or (door is not None and door in where and status < 300)

    def on_did(self, number: int, result: Any) -> None:
        step = self._steps[number]
        self._answered = self._answered or step.door == "done"
        if self._faults and step.gives and result is not None:
            self.life.allowed[*step.claims[0].register[:2], result] = {False}

    def on_refused(self, _number: int, _code: str) -> None:
        self._failed = True
        self.life.refused += 1

    def on_skipped(self, _number: int) -> None:
        self._failed = True

    def on_broken(self, number: int, error: str) -> None:
        self._failed = True
        self.life.problems.append(f"{self._steps[number].kind} (step {number}): no structured answer but {error}")

    def on_begin(self, number: int, label: str) -> None:
        kind = "opening" if self._step is None else self._step.kind
        self.life.commits.append(Commit(number, kind, label, self._current, done=False))

    def on_done(self, _number: int) -> None:
        self.life.commits[-1] = replace(self.life.commits[-1], done=True)

    def on_crash(self, text: str) -> None:
        # A server that can't write its first rows doesn't start, and says so.
        if not (self._faults and self._step is None and REFUSED_START in text):
            self.life.problems.append(text)


def _forgive_claimed_fires(life: Known, steps: list[Step]) -> None:
    """A one-shot whose removal was committed is gone, whether or not its action ran (TASK-206)."""
    last = life.commits[-1] if life.commits else None
    if last is None or steps[last.step].kind not in ("schedule fire", "alarm"):
        return
    removed = any(REMOVED & set(commit.label.split(", ")) and commit.done for commit in life.commits if commit.step == last.step)
    if removed:
        fired = [claim for step in steps[: last.step] for claim in step.claims if claim.register[0] == "fires"]
        # Those that are due in this step are the last that were planned.
        life.allowed[fired[-1].register].add(0)


def initial(register: Register) -> Any:
    """What a register holds before anything was asked."""
    if register[0] == "kv group":
        return (None,) * len(GROUPS[register[2]])
    return INITIAL.get(register[0])


def wrong(life: Known, steps: list[Step], told: Told, directory: Path, *, faults: bool) -> list[str]:
    """What the next process has lost, or invented."""
    found = next((event[1] for event in told["events"] if event[0] == "found"), None)
    problems = [*life.problems, *(event[1] for event in told["events"] if event[0] == "crash")]
    problems += [f"logged: {event[1:]}" for event in told["events"] if event[0] == "log"]
    if found is None:
        return [*problems, "the next process does not answer"]
    registers = {claim.register for step in steps for claim in step.claims}
    for register in sorted(registers, key=repr):
        allowed = life.allowed.get(register, {initial(register)})
        value = observed(register, found)
        if value not in allowed:
            problems.append(f"{register} is {value!r} and not {' or '.join(map(repr, sorted(allowed, key=repr)))}")
    return [*problems, *_whole(found, faults=faults), *_orphans(found, directory)]


def observed(register: Register, found: dict[str, Any]) -> Any:
    """What a register holds in the next process."""
    what, *where = register
    if what == "owner":
        name, key = where
        if found["ids"][f"{name} {key}"] is None:
            return None
        return found[f"{name} {key}"]["owner"] if name in VARIANTS else True
    if what == "whole":
        name, key = where
        report = found[f"{name} {key}"]
        if found["ids"][f"{name} {key}"] is None:
            return None
        return report["saved"] == 6 and report["kv"].get("a") == "5" and report.get("items", [5]) == [5]
    if what in ("items", "pairs"):
        return found["stored k"][what].count(where[0])
    if what == "left":
        return where[0] in found["room"]["left"]
    return _of_variant(what, where[1:], found[f"{where[0]} k"], found["restarted"])


def _of_variant(what: str, where: list[Any], report: dict[str, Any], restarted: float) -> Any:
    if what in ("saved", "throttled"):
        return report[what]
    if what == "queued":
        return where[0] in report["queued"]
    if what == "done":
        return report[what].count(where[0])
    if what == "fires":
        return sum(n == where[0] for n, _ in report[what])
    if what == "cron":
        return where[0] in report["crons"]
    if what == "late ticks":
        return any(name == where[0] and at >= restarted for name, at in report["ticks"])
    if what == "kv":
        return report["kv"].get(where[0])
    if what == "kv group":
        return tuple(report["kv"].get(key.decode()) for key in GROUPS[where[0]])
    raise AssertionError(what)


def _whole(found: dict[str, Any], *, faults: bool) -> Iterator[str]:
    """What is true whenever the process died."""
    for name in VARIANTS:
        report = found[f"{name} k"]
        helped = found["restarted"] + 1000 * UNAIDED
        first: dict[Any, float] = {}
        for one, at in [*report["fires"], *report["ticks"]]:
            if at >= found["restarted"]:
                first.setdefault(one, at)
        if late := [one for one, at in first.items() if at >= helped]:
            yield f"{name} was not woken by its alarm: {late} came when it was asked"
        if report["scheduled"]:
            yield f"{name} still waits for {report['scheduled']}, long overdue"
        if len(set(report["queued"])) != len(report["queued"]):
            yield f"{name} has messages twice: {report['queued']}"
        for cron, history in report["crons"].items():
            if len(history) > 2 or any(fire["result"] == "running" for fire in history):
                yield f"{name} has a history of {cron} that is not: {history}"
    stored = found["stored k"]
    parts = {stored["pairs"].count(JOINED) == 2, JOINED in stored["queued"], any(n == JOINED for n, _ in stored["fires"])}
    if len(parts) > 1:
        yield f"of a transaction and what was called in it only a part is there: {stored}"
    for name, expected in (("flow", FLOWED), ("storedFlow", FLOWED), ("undo", UNDONE)):
        # A step whose end could not be written runs again, on the state that it has changed (WF-040).
        log = list(dict.fromkeys(found[name])) if faults else found[name]
        if _ordered(log) != _ordered(expected):
            yield f"the workflow {name} did {found[name]}"
    if found["room"]["here"]:
        yield "a connection outlived its process"


def _ordered(log: list[str]) -> list[str]:
    # The branches of a join have no order between them.
    return ["branch" if entry in SIDES else entry for entry in log] + sorted(entry for entry in log if entry in SIDES)


def _orphans(found: dict[str, Any], directory: Path) -> Iterator[str]:
    """Rows and files of actors that are not."""
    living = set(found["living"])
    for path in (directory / "actors").glob("*"):
        if (actor := unquote(path.name.partition(".")[0])) not in living:
            yield f"{path.name} is left of {actor}"
    connection = sqlite3.connect(directory / "runtime.sqlite3")
    try:
        scopes = {scope for (scope,) in connection.execute("SELECT DISTINCT scope FROM rows")} - {""}
        if connection.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
            yield "the file is damaged"
    finally:
        connection.close()
    if scopes - living:
        yield f"rows are left of {sorted(scopes - living)}"
