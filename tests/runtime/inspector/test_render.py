"""Values as JSON."""

from runtime.inspector.render import render
from runtime.protocol.values import UNDEFINED


def test_values_are_shown_as_json():
    assert render({"b": b"\x01", "u": UNDEFINED, "l": (1, UNDEFINED)}) == {"b": [1], "l": [1, None]}
