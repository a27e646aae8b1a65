"""Test ids: `suite::test[encoding-storage]`, stable across machines, workers and file layout."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness import text as texts

_NAME = re.compile(r"(?P<name>.+?)(\[(?P<variant>(?!-\])[^\[\]]+)\])?", re.DOTALL)
"""The variant is what the last brackets hold; `-` is how ledgers call a test that has none."""


ANY = "any"
"""Stands for the encoding of the tests that have none."""


def has_no_encoding(variant: str) -> bool:
    """Whether a variant, as it stands in an id, is that of tests without an encoding."""
    return variant.partition("-")[0] == ANY


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
    def of(cls, suite: str, name: str) -> TestId:
        """The id of a test of whatever tool: any two texts, the name perhaps with its variant in brackets.

        What other formats cannot hold is escaped, so that the id reads back from each of them; the suite of an id has no colon.

        Raises:
            ValueError: one of them is empty.
        """
        # Escaped first: a line break in a parametrised name would end the line of an event or of a report.
        found = _NAME.fullmatch(texts.plain(name))
        if found is None or not suite:
            raise ValueError(f"a test id needs a suite and a name: {suite!r}, {name!r}")
        return cls(texts.plain(suite).replace(":", "."), found["name"], found["variant"] or "")

    @classmethod
    def parse(cls, text: str) -> TestId:
        """Read `suite::test[variant]`.

        Raises:
            ValueError: there is no suite or no test.
        """
        suite, _, name = text.partition("::")
        if not suite or not name or ":" in suite:
            raise ValueError(f"not a test id: {text!r} (expected suite::test[encoding-storage])")
        return cls.of(suite, name)
