"""What the source of a corpus says: checks that cannot fail, and bounds out of the reach of `--time-scale`."""

from __future__ import annotations

import textwrap

import pytest

from harness.lint.bounds import bare_bounds
from harness.lint.module import Source
from harness.lint.oracles import weak_checks


@pytest.fixture
def source(tmp_path):
    """The text of a module, parsed."""

    def read(text, **names):
        path = tmp_path / "test_x.py"
        path.write_text(textwrap.dedent(text))
        return Source.read(path, names)

    return read


def test_tests_are_found_in_classes_and_under_conditions(source):
    found = source("""
        if True:
            @mark
            async def test_a(): ...
        class TestB:
            def test_c(self): ...
        @fixture
        def test_data(): ...
        def helper(): ...
    """).tests()
    assert [(one.name, one.first) for one in found] == [("test_a", 3), ("TestB::test_c", 6)]


def test_what_is_no_python_is_left_to_its_import(source):
    assert source("def test_a(:") is None


@pytest.mark.parametrize("check", ['assert (x == 1, "text")', "assert x or 1", 'assert f"{x} is"', "assert lambda: x", "assert {1: x}"])
def test_an_assertion_that_is_always_true_is_told(source, check):
    assert [one.text for one in weak_checks(source(check))] == ["this assertion is always true"]


@pytest.mark.parametrize("check", ["assert x", "assert x and 1", "assert [*x]", "assert {**x}", 'assert f"{x}"'])
def test_an_assertion_that_can_fail_is_left_alone(source, check):
    assert weak_checks(source(check)) == []


def test_any_error_is_found_behind_another_name(source):
    text = "with raises(Wrong):\n    call()\n"
    assert len(weak_checks(source(text, Wrong=Exception))) == 1
    assert weak_checks(source(text, Wrong=KeyError)) == []


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("assert clock.monotonic() - began < 2", True),
        ("assert 2 > clock.monotonic() - began", True),
        ("assert clock.monotonic() - began < conform.limit(2)", False),
        ("assert clock.monotonic() - began > 2", False),
        ("clock.took(began, 2)", True),
        ("clock.took(began, conform.limit(2))", False),
        ("assert count < 2", False),
    ],
)
def test_only_upper_bounds_of_time_have_to_scale(source, line, told):
    assert bool(bare_bounds(source(f"def test_a():\n    began = clock.monotonic()\n    {line}\n"))) is told
