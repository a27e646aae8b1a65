"""Values as inspectors show them: plain JSON (section 1 of the specification, Notes)."""

from __future__ import annotations

import re
from array import array
from datetime import datetime
from typing import Any

from runtime.protocol.values import UNDEFINED, RegExp


def render(value: Any) -> Any:
    """Dates as ISO text, bytes as number arrays, undefined members left out."""
    if isinstance(value, dict):
        return {str(name): render(item) for name, item in value.items() if item is not UNDEFINED}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [None if item is UNDEFINED else render(item) for item in value]
    if isinstance(value, (bytes, bytearray, memoryview, array)):
        # Typed arrays show their elements, buffers their bytes.
        return list(bytes(value) if not isinstance(value, array) else value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (re.Pattern, RegExp)):
        return {}
    # In a list and at the top there is no member to leave out; JSON has only null for it.
    return None if value is UNDEFINED else value
