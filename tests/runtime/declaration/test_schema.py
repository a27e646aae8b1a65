"""Schemas: types, models and functions."""

import pytest
from pydantic import BaseModel

from runtime.declaration.schema import Validator
from runtime.errors import ActorError, UserError


class Point(BaseModel):
    x: int
    y: int = 0


class Later(BaseModel):
    next: "Declared"


class Declared(BaseModel):
    ok: bool


def refused(schema, value, message=None):
    with pytest.raises(ActorError) as caught:
        Validator(schema).check(value, message)
    return caught.value


def even(value):
    if value % 2:
        raise ValueError(f"{value} is odd")
    return value // 2


async def waiting(value): ...


def test_no_schema_is_no_validator():
    assert Validator.of(None) is None
    assert Validator.of(int).check("1") == 1


@pytest.mark.parametrize(
    ("schema", "value", "result"),
    [
        (int, "1", 1),
        (list[int], ["1"], [1]),
        (Point, {"x": 1}, {"x": 1, "y": 0}),
        (even, 4, 2),
        (Later, {"next": {"ok": True}}, {"next": {"ok": True}}),
    ],
)
def test_values_that_fit(schema, value, result):
    validator = Validator(schema)
    assert validator.check(value) == validator.check(value) == result


def test_what_does_not_fit():
    error = refused(Point, {"x": "a"}, "Invalid point")
    assert (error.name, error.message) == ("actor.validation_error", "Invalid point")
    assert error.metadata["issues"][0]["path"] == ["x"]


def test_a_function_refuses_by_raising():
    error = refused(even, 3)
    assert (error.name, error.metadata) == ("actor.validation_error", {"issues": [{"message": "3 is odd", "path": []}]})


def test_an_error_for_callers_stays_what_it_is():
    def schema(value):
        raise UserError("no", code="mine")

    assert refused(schema, 1).name == "user.mine"


def test_a_schema_that_pydantic_cannot_make_refuses_every_value():
    assert refused(object(), 1).name == "actor.validation_error"


def test_asynchronous_schemas_are_not_supported():
    assert refused(waiting, 1).name == "feature.unsupported"
