"""What the corpus runs against: the reference runtime in this process, in its own process, or anything behind a URL."""

from harness.targets.base import Endpoint, Target, TimeMode
from harness.targets.resolve import SPECS, TargetOptions, preflight, prepare, resolve

__all__ = ["SPECS", "Endpoint", "Target", "TargetOptions", "TimeMode", "preflight", "prepare", "resolve"]
