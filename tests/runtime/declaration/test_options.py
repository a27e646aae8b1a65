"""Options of an actor: types, ranges, the graceful window (START-001, SLEEP-060..063)."""

import math

import pytest

from runtime.declaration.options import Options


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sleep_timeout", "1"), ("sleep_timeout", True), ("no_sleep", 1), ("icon", 3), ("max_queue_size", 1.5), ("max_queue_size", True),
        ("can_hibernate_web_socket", "yes"),
    ],
)  # fmt: skip
def test_wrong_types(name, value):
    with pytest.raises(TypeError, match=name):
        Options(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("sleep_timeout", 0), ("sleep_timeout", -1.0), ("sleep_timeout", math.inf), ("max_queue_size", 0), ("max_schedules", -1)],
)
def test_values_out_of_range(name, value):
    with pytest.raises(ValueError, match=name):
        Options(**{name: value})


@pytest.mark.parametrize(("name", "value"), [("max_schedules", 0), ("can_hibernate_web_socket", bool), ("sleep_grace_period", None)])
def test_values_in_range(name, value):
    assert getattr(Options(**{name: value}), name) == value


@pytest.mark.parametrize(
    ("given", "period"),
    [({}, 15.0), ({"sleep_grace_period": 2.0}, 2.0), ({"on_sleep_timeout": 1.0}, 16.0), ({"on_sleep_timeout": 5.0}, 15.0)],
)
def test_the_graceful_window(given, period):
    assert Options(**given).grace_period == period


def test_a_deprecated_limit_still_counts():
    with pytest.warns(DeprecationWarning, match="sleep_grace_period"):
        options = Options(wait_until_timeout=1.0)
    assert options.grace_period == 6.0
