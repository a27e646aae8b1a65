"""Test ids, marks and capabilities."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import capabilities, capability, encodings, requirement, suite
from harness.errors import UsageError
from harness.identity import TestId

WORD = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)


@given(suite=WORD, name=WORD, variant=WORD | st.just(""), extra=st.none() | WORD)
def test_ids_read_back(suite, name, variant, extra):
    name = f"{name}({extra})" if extra else name
    identity = TestId(suite, name, variant)
    assert TestId.parse(str(identity)) == identity


@given(suite=st.text(min_size=1), name=st.text(min_size=1))
def test_ids_of_any_two_texts_read_back_from_one_line(suite, name):
    identity = TestId.of(suite, name)
    assert TestId.parse(str(identity)) == identity
    assert len(str(identity).splitlines()) == 1
    assert str(identity).encode()


def test_what_the_last_brackets_hold_is_the_variant():
    assert TestId.of("s", "x[a][b]") == TestId("s", "x[a]", "b")
    assert TestId.of("a:b", "two\nlines[\x1b]") == TestId("a.b", "two\\nlines", "\\x1b")
    assert [TestId.of("s", name).name for name in ("x[]", "x[-]", "[a]")] == ["x[]", "x[-]", "[a]"]


@pytest.mark.parametrize("text", ["", "alpha", "::x", "alpha::", "a:b::c"])
def test_what_is_no_id_is_refused(text):
    with pytest.raises(ValueError, match="not a test id"):
        TestId.parse(text)


@pytest.mark.parametrize(
    "bad",
    [
        lambda: requirement(),
        lambda: requirement("sleep-1"),
        lambda: suite("Actor Sleep"),
        lambda: encodings("xml"),
        lambda: capability("magic"),
    ],
)
def test_malformed_marks_are_refused(bad):
    with pytest.raises(UsageError):
        bad()


def test_capabilities_are_read():
    assert capabilities.parse(None) == frozenset()
    assert capabilities.parse("all") == capabilities.ALL
    assert capabilities.parse("overload, close_ack") == {"overload", "close_ack"}
    with pytest.raises(UsageError, match="unknown capability magic"):
        capabilities.parse("magic")
