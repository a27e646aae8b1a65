"""What was asked for with `--target` and the options beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """A target as asked for on the command line or in a target file; everything but `spec` only concerns URL and command targets.

    Commands run in `directory`. `nodes` and `envoys` concern the target `engine`, and come from a file only.
    """

    spec: str = "reference"
    namespace: str = "default"
    pool: str = "default"
    token: str | None = None
    name: str | None = None
    capabilities: str | None = None
    time_scale: float | None = None
    profile: str | None = None
    directory: Path | None = None
    nodes: int | None = None
    envoys: int | None = None
