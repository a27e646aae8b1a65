"""Programs for the interpreter actors: what a test writes, checks and reads.

    from harness.testing.interpreter import latch, made, op, play

    actor = made(conform, "interpreterSleepy", state={"count": 0}, onWake=[latch("in start")])
    call = conform.spawn(play(actor, op("incr", at="state.count")))
    await conform.latch("in start").arrived()         # the start is held: whatever is done now happens inside it
    await conform.latch("in start").release()
    assert await call == 1

A program is checked against `interpreter.schema.json` before it is sent: a malformed one is the test's error, not the target's.
The language is described in docs/reference/interpreter.md.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
from jsonschema import validators
from jsonschema.exceptions import best_match

from client import ActorError
from harness.errors import HarnessError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from harness.testing.conform import Conform
    from harness.testing.handles import TrackedHandle

Step = dict[str, Any]
SCHEMA = Path(__file__).with_name("interpreter.schema.json")
BY_OPERATION = "byOperation"


def op(name: str, /, **fields: Any) -> Step:
    """One step. A field whose name is a word of Python is written with an underscore: `as_`, `is_`, `else_`."""
    # The language has `as`, `is` and `else`, which Python does not allow as names of arguments.
    return {"op": name, **{field.rstrip("_"): value for field, value in fields.items()}}


def ref(path: str) -> dict[str, str]:
    """The value at a path: `state.count`, `args.0`, the name of a result."""
    return {"$": path}


def later(ms: float) -> dict[str, float]:
    """The time of the target in so many milliseconds, in epoch milliseconds."""
    return {"$now": ms}


def trace(label: str, value: Any = None, **fields: Any) -> Step:
    """Record that the program came here."""
    return op("trace", label=label, value=value, **fields)


def latch(name: str, **fields: Any) -> Step:
    """Say that the program is here, and wait until `conform.latch(name).release()`."""
    return op("latch", name=name, **fields)


def step(name: str, *do: Step, **options: Any) -> Step:
    """A workflow step; `rollback` and the other options as fields, durations in milliseconds."""
    return op("wf.step", name=name, do=list(do), **options)


def failing(times: int, *then: Step, counter: str = "tries", **error: Any) -> list[Step]:
    """The body of a step that fails so many times and then does the rest; `state.<counter>` counts the attempts."""
    fails = op("if", value=ref(f"state.{counter}"), below=times + 1, then=[op("throw", **{"kind": "internal", **error})])
    return [op("incr", at=f"state.{counter}"), fails, *then]


def made(
    conform: Conform, name: str = "interpreter", key: Sequence[str] | None = None, /, *, state: Any = None, given: Any = None, **places: Any
) -> TrackedHandle:
    """A handle to the interpreter actor of a key, created with these programs, extra state, and input for `createState`."""
    value = {"programs": places, "state": state or {}, "input": given}
    # Here and not in the target: an error of the program would come back as a failed start, and look like a fault of the runtime.
    _check(value, "input", f"the programs of {name}")
    return conform.get_or_create(name, key, input=value)


async def play(handle: Any, *steps: Step, args: Sequence[Any] = ()) -> Any:
    """Run a program at once, through a handle or a connection; its result."""
    _check(list(steps), "program", "the program")
    return await handle.action("exec", list(steps), *args)


async def put(handle: Any, place: str, *steps: Step) -> None:
    """Store a program for a place of a running actor; none at all removes it."""
    _check(list(steps), "program", f"the program for {place}")
    _check(place, "place", "the place")
    await handle.action("setProgram", place, list(steps) or None)


async def traced(conform: Conform, key: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """What programs recorded, in order: `{n, label, value, place, actorId, start}`; `start` numbers the starts of an actor from 1."""
    # Not created here: a target may fail one of two calls that create an actor at the same time.
    try:
        records: list[dict[str, Any]] = await conform.get("interpreterTrace", list(key or conform.key[:1])).action("read")
    except ActorError as error:
        if (error.group, error.code) != ("actor", "not_found"):
            raise
        return []
    return records


async def labels(conform: Conform) -> list[str]:
    """The labels of the trace, in order."""
    return [record["label"] for record in await traced(conform)]


def _check(value: Any, kind: str, what: str) -> None:
    """Refuse what the language does not know.

    Raises:
        HarnessError: says where and why.
    """
    error = best_match(_validator(kind).iter_errors(value))
    if error is not None:
        place = "".join(f"[{part!r}]" for part in error.absolute_path)
        raise HarnessError(f"{what} is malformed at {place or 'its root'}: {error.message}")


@functools.cache
def _validator(kind: str) -> Any:
    # One schema, entered at different places, so that what a step is stands once.
    return _Validator({**_schema(), "$ref": f"#/$defs/{kind}"})


@functools.cache
def _schema() -> dict[str, Any]:
    """The schema, with a table where it has a condition for each operation: going through them all took a sixth of the corpus' time."""
    schema: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    cases = schema["$defs"]["step"].pop("allOf")
    schema["$defs"]["step"][BY_OPERATION] = {case["if"]["properties"]["op"]["const"]: case["then"] for case in cases}
    return schema


def _by_operation(validator: Any, cases: Mapping[str, Any], step: Any, _: Any) -> Iterator[jsonschema.ValidationError]:
    """The keyword `BY_OPERATION`: what the condition of the step's operation would say."""
    name = step.get("op") if isinstance(step, dict) else None
    if isinstance(name, str) and name in cases:
        yield from validator.descend(step, cases[name], schema_path=name)


_Validator = validators.extend(jsonschema.Draft202012Validator, {BY_OPERATION: _by_operation})
