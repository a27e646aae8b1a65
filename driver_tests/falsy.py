"""Values that are easily taken for nothing, by the name that a test case has for them."""

from __future__ import annotations

FALSY = {"zero": 0, "false": False, "empty-text": "", "null": None, "empty-list": [], "empty-object": {}}
