"""The marks a driver test carries.

Example:
    pytestmark = [suite("actor-sleep"), timing]

    @requirement("SLEEP-012", "SLEEP-013")
    @capability("close_ack")
    @encodings("json", "cbor")          # or @any_encoding
    async def test_action_resets_idle_timer(conform): ...
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from harness import capabilities
from harness.did_you_mean import named
from harness.errors import UsageError
from harness.identity import ANY

if TYPE_CHECKING:
    from collections.abc import Sequence

# In this order everywhere: in ids, tables and ledgers.
ENCODINGS = ("json", "cbor", "bare")
SPOKEN_BY_ANY = "json"
"""What the client of such a test speaks where it has to name an encoding."""
_REQUIREMENT = re.compile(r"^[A-Z]+-\d{3}[a-z]?$")
_TEST = re.compile(r"^[a-z0-9-]+::[^\[\]]+$")
_SUITE = re.compile(r"^[a-z0-9]+(-[a-z0-9]+)*$")

timing = pytest.mark.timing
"""The suite depends on time: one worker, never in parallel, never reordered."""

untimed = pytest.mark.untimed
"""Nothing of this test depends on time, although its suite does: it runs beside others, and needs no window."""


def suite(name: str) -> pytest.MarkDecorator:
    """Name the suite of a module; this is also what makes a module part of the corpus.

    Raises:
        UsageError: the name is not lower-case words joined by dashes.
    """
    if not _SUITE.match(name):
        raise UsageError(f"suite name {name!r} must be lower-case words joined by dashes")
    return pytest.mark.suite(name)


def requirement(*ids: str) -> pytest.MarkDecorator:
    """Tie a test to the requirement ids it checks, such as `SLEEP-012`.

    Raises:
        UsageError: no id was given or one is malformed.
    """
    # Checked when the module is imported: a misspelt id would else count as an untested requirement and an unknown one.
    bad = [one for one in ids if not _REQUIREMENT.match(one)]
    if bad or not ids:
        raise UsageError(f"malformed requirement id {bad or ids!r}; an id looks like SLEEP-012")
    return pytest.mark.requirement(*ids)


def capability(*names: str) -> pytest.MarkDecorator:
    """Skip the test, as *unsupported*, on targets that do not declare all of these capabilities.

    Raises:
        UsageError: a name is not in `harness.capabilities.KNOWN`.
    """
    capabilities.check(frozenset(names))
    return pytest.mark.capability(*names)


def depends_on(*tests: str) -> pytest.MarkDecorator:
    """Name tests (`suite::test`) without which this one cannot pass; when one of them is bad too, this one is blocked by it.

    In `pytestmark` it names what the whole suite needs, usually its most basic test, which does not depend on itself.

    Raises:
        UsageError: no test was given or one is not of that form.
    """
    if not tests or any(not _TEST.match(one) for one in tests):
        raise UsageError(f"malformed prerequisite {tests!r}; a prerequisite looks like actor-sleep::test_idle_actor_sleeps")
    return pytest.mark.depends_on(*tests)


def encodings(*names: str) -> pytest.MarkDecorator:
    """Run the test in these encodings only (it is not collected for the others). The mark of a test wins over that of its module.

    Raises:
        UsageError: a name is not json, cbor or bare.
    """
    return pytest.mark.encodings(*check_encodings(names))


any_encoding = pytest.mark.encodings(ANY)
"""Nothing of the test depends on the encoding: it runs once, whatever encodings are asked for, as `test[any-storage]`.

Such a test may not read `conform.encoding`. `conform report encodings` tells which tests should have the mark and which should not.
"""


def check_encodings(names: Sequence[str], known: Sequence[str] = ENCODINGS) -> tuple[str, ...]:
    """Return the names in canonical order.

    Raises:
        UsageError: a name is not among the known ones, or there is none.
    """
    bad = [one for one in names if one not in known]
    if bad or not names:
        raise UsageError(f"unknown encoding {named(bad, known) or '(none)'}; known: {', '.join(known)}")
    # In canonical order, so that `--encoding bare,json` runs the very same tests in the very same order.
    return tuple(one for one in known if one in names)


def select_encodings(names: Sequence[str]) -> tuple[str, ...]:
    """The encodings a run is asked for, all when none is named; `any` alone means only the tests that have none.

    Raises:
        UsageError: a name is not json, cbor, bare or any.
    """
    return check_encodings(names or ENCODINGS, (*ENCODINGS, ANY))
