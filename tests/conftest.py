"""What holds for all unit tests: logging stays as it is, and no example of hypothesis fails for the speed of the machine."""

from __future__ import annotations

import hypothesis
import structlog

# A program that configured structlog is left alone by `create_app`.
# Loggers configured by an in-process server are cached for good, and `capture_logs` of later tests would see nothing.
structlog.configure()

# A stalled machine is no fault of what is tested; the limit per test holds all the same.
hypothesis.settings.register_profile("unit", deadline=None)
hypothesis.settings.load_profile("unit")
