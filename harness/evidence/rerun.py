"""The command that runs one test again."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from harness.standard_corpus import standard_corpus
from harness.targets import TargetOptions

if TYPE_CHECKING:
    from pathlib import Path

    from harness.identity import TestId


def command(test: TestId, target: TargetOptions, time: str | None, *, seed: int = 0, corpus: Path | None = None) -> str:
    """The `conform run` for exactly this test in this variant. A token is not shown: set CONFORM_TOKEN."""
    encoding, _, storage = test.variant.partition("-")
    parts = ["conform", "run", "--target", target.spec]
    defaults = TargetOptions()
    for flag in ("namespace", "pool", "capabilities", "name", "time_scale", "profile"):
        value = getattr(target, flag)
        # Only what differs: a command that names every option hides the one that matters.
        if value != getattr(defaults, flag):
            parts += ["--target-name" if flag == "name" else f"--{flag.replace('_', '-')}", str(value)]
    if time:
        parts += ["--time", time]
    if test.variant:
        parts += ["--encoding", encoding, "--storage", storage]
    if seed:
        parts += ["--seed", str(seed)]
    # The standard corpus lies elsewhere on every machine, and is found without being named.
    if corpus is not None and corpus != standard_corpus():
        parts += ["--corpus", str(corpus)]
    return shlex.join([*parts, "--only", test.test])
