"""The timing tests of a corpus that are allowed to pass without a window.

A corpus with the file `windows.toml` is held to the rule: a timing test that would pass, and that no window was seen of, is *inconclusive*.

    [none]
    "gateway::test_slow_answer_is_cut" = "the moment is the target's own limit, which nothing outside shows"
"""

from __future__ import annotations

import tomllib
from functools import cache
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from harness.session.corpus import CorpusTest

FILE = "windows.toml"


class Windowless(BaseModel):
    """Which timing tests of a corpus have no window, by `suite::test`, and why; one that takes parameters is listed by its name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # A table of reasons and no list of names: what has no reason cannot be reviewed.
    none: dict[str, str] = Field(default_factory=dict)


def needed(test: CorpusTest, corpus: Path) -> bool:
    """Whether a pass of the test needs a window."""
    listed = load(corpus)
    # A corpus without the file is not held to the rule: ones written elsewhere would be inconclusive all over on the day they upgrade.
    return test.timing and listed is not None and test.id.test.partition("(")[0] not in listed.none


@cache
def load(corpus: Path) -> Windowless | None:
    """The list of a corpus; one without it is not held to the rule.

    Raises:
        UsageError: the file is malformed, or a reason is missing.
    """
    path = corpus / FILE
    if not path.exists():
        return None
    try:
        found = Windowless(**tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError, TypeError) as error:
        raise UsageError(f"{path} is no list of tests without a window: {error}") from error
    if silent := [test for test, reason in found.none.items() if not reason.strip()]:
        raise UsageError(f"{path} does not say why these tests have no window: {', '.join(silent)}")
    return found
