"""The language of the interpreter actors: schema, fixture and documentation know the same operations; malformed programs are refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
from jsonschema.exceptions import best_match

import harness
from fixtures.interpreter import OPERATIONS
from harness.errors import HarnessError
from harness.testing.interpreter import SCHEMA, _check, made, op, play

HOUSE = Path(str(harness.__file__)).parent.parent


def operations() -> set[str]:
    return set(json.loads(SCHEMA.read_text(encoding="utf-8"))["$defs"]["step"]["properties"]["op"]["enum"])


def test_schema_and_fixture_have_the_same_operations() -> None:
    assert operations() == set(OPERATIONS)


def test_the_page_describes_every_operation_and_place() -> None:
    page = (HOUSE / "docs" / "reference" / "interpreter.md").read_text(encoding="utf-8")
    places = json.loads(SCHEMA.read_text(encoding="utf-8"))["$defs"]["place"]["enum"]
    assert {name for name in [*operations(), *places] if f"`{name}`" not in page} == set()


def test_every_operation_is_used_by_the_corpus() -> None:
    suites = "\n".join(path.read_text(encoding="utf-8") for path in sorted((HOUSE / "driver_tests").glob("*.py")))
    used = set(re.findall(r"\bop\(\s*\"([A-Za-z.]+)\"", suites))
    helpers = {"trace", "latch", "wf.step"}
    assert operations() - used - helpers == set()


class _Nowhere:
    async def action(self, *_: object) -> None:
        raise AssertionError("a malformed program was sent")


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (op("no.such"), "'no.such' is not one of"),
        (op("set", at="state.x"), "'value' is a required property"),
        (op("incr", at="elsewhere.x"), "does not match"),
        (op("try", do=[op("wait", ms=1), op("wait", ms=1, m=1)]), "'m' was unexpected"),
        (op("if", value=1, then=op("return")), "is not of type 'array'"),
    ],
    ids=["unknown operation", "missing field", "bad path", "unknown field, nested", "a step for a program"],
)
async def test_a_malformed_program_is_the_tests_error(step: dict[str, object], words: str) -> None:
    with pytest.raises(HarnessError, match=r"the program is malformed at \[0\]") as caught:
        await play(_Nowhere(), step)
    assert words in str(caught.value)


def test_a_malformed_place_is_the_tests_error() -> None:
    with pytest.raises(HarnessError, match="the programs of interpreter"):
        made(None, onWhatever=[])  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sorted(operations()))
def test_the_short_way_to_an_operation_says_what_the_schema_says(name: str) -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    case = next(one["then"] for one in schema["$defs"]["step"]["allOf"] if one["if"]["properties"]["op"]["const"] == name)
    whole = {field: field for field in case["required"]}
    for step in (op(name), op(name, **whole), op(name, **whole, more=1), op(name, do=[op(name, as_="no name")], then=[op("?")])):
        error = best_match(jsonschema.Draft202012Validator(schema).iter_errors([step]))
        if error is None:
            _check([step], "program", "it")
            continue
        with pytest.raises(HarnessError) as caught:
            _check([step], "program", "it")
        assert str(caught.value) == f"it is malformed at {''.join(f'[{part!r}]' for part in error.absolute_path)}: {error.message}"
