"""What is done once for a target before any worker starts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.targets.base import Target


def prepare(target: Target) -> None:
    """Do what must be done once before any worker starts the target, such as installing it.

    Raises:
        TargetError: something it needs is missing.
    """
    # Optional steps are looked up and not part of `Target`: a target of three lines should be one.
    step = getattr(target, "prepare", None)
    if step is not None:
        step()


async def preflight(target: Target) -> None:
    """Look whether a target that somebody else runs is there at all, before any worker starts.

    Raises:
        TargetError: it is not.
    """
    step = getattr(target, "preflight", None)
    if step is not None:
        await step()
