"""Test ids: `suite::test[encoding-storage]`, stable across machines, workers and file layout."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ID = re.compile(r"^(?P<suite>[^:]+)::(?P<name>.+?)(\[(?P<variant>[^\[\]]*)\])?$")


@dataclass(frozen=True, slots=True, order=True)
class Variant:
    """One column of the matrix: what a test speaks and where the target keeps its data."""

    encoding: str
    storage: str

    def __str__(self) -> str:
        return f"{self.encoding}-{self.storage}"


@dataclass(frozen=True, slots=True, order=True)
class TestId:
    """A test in one variant. `variant` is empty for results that come from elsewhere without one."""

    __test__ = False

    suite: str
    name: str
    variant: str = ""

    def __str__(self) -> str:
        return f"{self.suite}::{self.name}[{self.variant}]" if self.variant else f"{self.suite}::{self.name}"

    @property
    def test(self) -> str:
        """The id without its variant: `suite::test`."""
        return f"{self.suite}::{self.name}"

    @classmethod
    def parse(cls, text: str) -> TestId:
        """Read `suite::test[variant]`.

        Raises:
            ValueError: there is no suite or no test.
        """
        found = _ID.match(text)
        if found is None:
            raise ValueError(f"not a test id: {text!r} (expected suite::test[encoding-storage])")
        return cls(found["suite"], found["name"], found["variant"] or "")
