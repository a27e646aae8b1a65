"""What is done once for a target before any worker starts it, and the command that runs one test again."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.errors import TargetError
from harness.evidence.rerun import command
from harness.identity import TestId
from harness.standard_corpus import standard_corpus
from harness.targets.options import TargetOptions
from harness.targets.preflight import preflight, prepare

TEST = TestId("actor-sleep", "test_x", "json-sqlite")


async def test_a_target_of_three_lines_needs_no_steps():
    prepare(SimpleNamespace())
    await preflight(SimpleNamespace())


async def test_what_a_step_misses_is_said_before_any_worker():
    def missing():
        raise TargetError("npm was not found")

    async def away():
        raise TargetError("nobody answers")

    with pytest.raises(TargetError, match="npm"):
        prepare(SimpleNamespace(prepare=missing))
    with pytest.raises(TargetError, match="nobody"):
        await preflight(SimpleNamespace(preflight=away))


def test_a_command_names_only_what_differs_from_the_defaults():
    assert command(TEST, TargetOptions(), None, corpus=standard_corpus()) == (
        "conform run --target reference --encoding json --storage sqlite --only actor-sleep::test_x"
    )


def test_a_command_is_quoted_and_has_no_token():
    target = TargetOptions(spec="cmd:./run --port {port}", token="s3cret", name="mine", time_scale=2.0)
    line = command(TEST, target, "real", seed=7, corpus=Path("/else where"))
    assert "s3cret" not in line
    assert "--target 'cmd:./run --port {port}' --target-name mine --time-scale 2.0 --time real" in line
    assert "--seed 7 --corpus '/else where' --only actor-sleep::test_x" in line
