"""What exists in a corpus and is not counted is a problem with its name; what its source says against a test is its error."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.harness.sample import PLAIN, run, write_corpus


@pytest.fixture
def corpus(tmp_path):
    return tmp_path / "corpus"


NO_SUITE = '''
from harness import requirement

@requirement("TASK-001")
async def test_forgot():
    """Never reported."""
    assert False
'''
UNCOUNTED = '''
import unittest

async def test_shadowed():
    assert False

@requirement("TASK-001")
async def test_shadowed():
    """The later one."""

class TestGroup:
    async def test_inner(self):
        assert False

    @requirement("TASK-001")
    async def test_inner(self):
        """The later one."""

class Cases(unittest.TestCase):
    def test_case(self):
        assert False

class Grouped:
    async def test_of_a_class_with_another_name(self):
        assert False

if not pytest:
    async def test_conditional():
        assert False

async def test_switched_off():
    assert False
test_switched_off.__test__ = False

async def test_taken_away():
    assert False
del test_taken_away

class Shared:
    @requirement("TASK-001")
    async def test_of_a_base_class(self):
        """Counted in the class below."""

class TestDerived(Shared):
    pass
'''
CONFTEST = """
collect_ignore = ["test_ignored.py"]

def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if "test_two" not in item.nodeid]
"""


def test_what_exists_and_is_not_counted_is_a_problem(corpus):
    write_corpus(corpus, alpha=PLAIN, beta=UNCOUNTED, ignored=PLAIN)
    (corpus / "test_forgot.py").write_text(NO_SUITE)
    (corpus / "test_skips.py").write_text("import pytest\npytest.importorskip('nonexistent_module')\n" + NO_SUITE)
    (corpus / "checks.py").write_text(NO_SUITE)
    (corpus / "deeper").mkdir()
    (corpus / "deeper" / "test_below.py").write_text(NO_SUITE)
    (corpus / "conftest.py").write_text(CONFTEST)
    report = run(corpus)
    told = "\n".join(report.problems)
    assert report.status == 2
    for problem in (
        "test_forgot.py: 1 tests are not counted, test_forgot the first: the module names no suite",
        "test_skips.py: 1 tests are not counted, test_forgot the first: the module skips itself: Skipped: could not import",
        "checks.py: 1 tests are not counted, test_forgot the first: pytest does not collect the file",
        "test_ignored.py: 2 tests are not counted, test_one the first: pytest does not collect the file",
        "test_below.py: 1 tests are not counted",
        "test_alpha.py::test_two[json-memory] was collected and then dropped by a conftest or a plug-in",
        "test_shadowed is not counted: the function of the same name at line",
        "TestGroup::test_inner is not counted: the function of the same name at line",
        "Cases::test_case is not counted: unittest classes are no part of a corpus",
        "Grouped::test_of_a_class_with_another_name is not counted: pytest does not collect it",
        "test_conditional is not counted",
        "test_switched_off is not counted",
        "test_taken_away is not counted",
    ):
        assert problem in told, (problem, told)
    assert len(report.problems) == 13, told


def test_a_selection_leaves_out_without_a_problem(corpus):
    write_corpus(corpus, alpha=PLAIN, beta_timing=PLAIN)
    for options in (
        {"keyword": "one"},
        {"suites": ("alpha",)},
        {"lane": "timing"},
        {"only": ("alpha::test_one",)},
        {"jobs": 2, "encodings": ("json", "bare")},
        {"encodings": ("bare",)},
    ):
        report = run(corpus, **options)
        assert not report.problems, (options, report.problems)
        assert report.results


def plain_pytest(corpus, *arguments):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "harness.plugin", "--target=tests.harness.fake_target:make", "--encoding=json"]
    return subprocess.run(
        [*command, "-p", "no:cacheprovider", "--asyncio-mode=auto", "-c", os.devnull, f"--rootdir={corpus}", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_plain_pytest_tells_too_and_leaves_other_tests_alone(corpus, tmp_path):
    write_corpus(corpus, alpha=PLAIN)
    (corpus / "test_forgot.py").write_text(NO_SUITE.replace("assert False", "pass"))
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "test_unit.py").write_text("def test_unit():\n    pass\n")
    done = plain_pytest(corpus, str(corpus))
    assert done.returncode == 1
    assert "test_forgot.py: 1 tests are not counted" in done.stdout
    done = plain_pytest(corpus, str(corpus / "test_alpha.py"), str(tmp_path / "others"))
    assert done.returncode == 0, done.stdout
    assert plain_pytest(corpus, str(corpus / "test_forgot.py")).returncode == 0, "a file of its own is no corpus"


WEAK = '''
import contextlib
from client import ActorError
from client import ActorError as Anything
from pytest import raises as fails

ERRORS = (LookupError, ActorError)
LIMIT = 3

async def boom():
    raise ActorError("actor", "boom", "boom")

@requirement("TASK-001")
async def test_tuple():
    """A tuple."""
    assert (1 == 2, "message")

@requirement("TASK-001")
async def test_text():
    """A text."""
    assert 1 == 2 or "message"

@requirement("TASK-001")
async def test_lambda():
    """A function."""
    assert lambda: False

@requirement("TASK-001")
async def test_generator_expression():
    """A generator."""
    assert (one == 2 for one in [1])

@requirement("TASK-001")
async def test_raises():
    """Any error."""
    with pytest.raises(ActorError):
        await boom()

@requirement("TASK-001")
async def test_raises_by_other_names():
    """Any error."""
    with fails(Anything, match="boom"):
        await boom()

@requirement("TASK-001")
async def test_raises_one_of_several():
    """Any error."""
    with pytest.raises(ERRORS):
        await boom()

@requirement("TASK-001")
async def test_raises_anything():
    """Any error."""
    with pytest.raises(Exception):
        await boom()

@requirement("TASK-001")
async def test_suppress():
    """Any error."""
    with contextlib.suppress(LookupError, ActorError):
        await boom()

@requirement("TASK-001")
async def test_except():
    """Any error."""
    try:
        await boom()
    except ActorError as error:
        pass

@requirement("TASK-001")
async def test_bare_except():
    """Any error."""
    try:
        await boom()
    except:
        pass

@requirement("TASK-001")
async def test_dead(expect_error):
    """A check that is never run."""
    async with expect_error("actor", "boom"):
        await boom()
        assert False

@requirement("TASK-001")
async def test_dead_deeper(expect_error):
    """A check that is never run."""
    async with expect_error("actor", "boom"):
        with contextlib.nullcontext():
            await boom()
        assert False

@requirement("TASK-001")
async def test_bound(conform, clock):
    """A literal bound."""
    began = clock.monotonic()
    assert clock.monotonic() - began < 3

@requirement("TASK-001")
async def test_bound_by_a_constant(conform, clock):
    """A bound without the scale."""
    began = clock.monotonic()
    await clock.sleep(0.1)
    elapsed = clock.monotonic() - began
    assert LIMIT + 1 > elapsed > 0

@requirement("TASK-001")
async def test_wait_bound(conform):
    """A literal limit."""
    async with asyncio.timeout(3):
        await asyncio.sleep(0)

@requirement("TASK-001")
async def test_took_bound(conform, clock):
    """A literal limit of the clock's own assertion."""
    clock.took(clock.monotonic(), most=3)

@requirement("TASK-001")
async def test_zz_structured(expect_error):
    """Group and code."""
    async with expect_error("actor", "boom"):
        await boom()
    with pytest.raises(LookupError):
        {}["x"]
    try:
        await boom()
    except ActorError as error:
        assert (error.group, error.code) == ("actor", "boom")

@requirement("TASK-001")
async def test_zz_scaled_bound(conform, clock):
    """A bound that the scale reaches, a lower bound, and one of no time."""
    began = clock.monotonic()
    await clock.sleep(0.1)
    assert 0.1 <= clock.monotonic() - began < conform.limit(3)
    clock.took(began, most=conform.limit(3), least=0.1)
    assert len("text") < 5
    async with asyncio.timeout(conform.limit(3)):
        await asyncio.sleep(0)

@requirement("TASK-001")
async def test_zz_fine():
    """Comparisons of tuples and conditional texts are checks."""
    assert (1, 2) == (1, 2), "message"
    assert "text" if True else ""
'''


def test_a_check_that_cannot_fail_is_the_error_of_its_test(corpus):
    report = run(write_corpus(corpus, alpha=WEAK))
    assert not report.problems
    found = {result.id.name: result for result in report.results}
    for name, result in found.items():
        expected = "pass" if "_zz_" in name else "error"
        assert str(result.verdict) == expected, (name, result.message)
        if expected == "error":
            assert "test_alpha.py:" in result.message
            assert result.blame == "harness"
    assert len(found) == 20


def test_weak_helpers_concern_every_test_of_the_module_and_other_files_are_problems(corpus):
    helper = "async def helper():\n    assert ('x', 'y')\n"
    write_corpus(corpus, alpha=PLAIN + helper, beta=PLAIN)
    report = run(corpus)
    assert {str(one.id): str(one.verdict) for one in report.results} == {
        **{f"alpha::test_{name}[json-memory]": "error" for name in ("one", "two")},
        **{f"beta::test_{name}[json-memory]": "pass" for name in ("one", "two")},
    }
    (corpus / "helping.py").write_text(helper)
    report = run(corpus, suites=("beta",))
    assert [problem.partition("helping.py")[2] for problem in report.problems] == [":2: this assertion is always true"]
