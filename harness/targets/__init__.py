"""What the corpus runs against: the reference runtime in this process, in its own process, or anything behind a URL."""

from harness.targets.base import Endpoint, Target, TimeMode
from harness.targets.options import TargetOptions
from harness.targets.preflight import preflight, prepare
from harness.targets.resolve import SPECS, resolve

__all__ = ["SPECS", "Endpoint", "Target", "TargetOptions", "TimeMode", "preflight", "prepare", "resolve"]
