"""What takes too long for every run of the tests: `tox -e soak`. `docs/reference/soak.md` lists it, with the last results."""

from __future__ import annotations

from collections.abc import Callable

Record = Callable[[str, object], None]
"""The fixture `record_property`; what is recorded as `figures` is shown in `docs/reference/soak.md`."""
