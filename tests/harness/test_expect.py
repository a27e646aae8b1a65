"""Expecting a structured error: group and code together, and nothing else."""

from __future__ import annotations

import pytest

from client import ActorError
from harness.testing.expect import expect_error


async def test_the_error_is_kept_for_further_looks():
    async with expect_error("actor", "not_found") as caught:
        raise ActorError("actor", "not_found", "gone", {"id": 1})
    assert (caught.message, caught.metadata) == ("gone", {"id": 1})


@pytest.mark.parametrize("raised", [ActorError("actor", "stopping", "no"), ActorError("guard", "not_found", "no")])
async def test_half_of_the_name_is_another_error(raised):
    with pytest.raises(AssertionError, match=r"expected actor\.not_found, got"):
        async with expect_error("actor", "not_found"):
            raise raised


async def test_no_error_is_a_failure_and_other_exceptions_pass_through():
    with pytest.raises(AssertionError, match="nothing was raised"):
        async with expect_error("actor", "not_found"):
            pass
    with pytest.raises(KeyError):
        async with expect_error("actor", "not_found"):
            raise KeyError


async def test_nothing_can_be_read_before_the_block_has_ended():
    with pytest.raises(ActorError):
        async with expect_error("a", "b") as caught:
            with pytest.raises(AttributeError, match="nothing was caught yet"):
                caught.message  # noqa: B018 - the access is what is tested
            raise ActorError("a", "b", "m")
        raise caught.error
