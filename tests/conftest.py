"""Keeps logging of the test process as it is: a program that configured structlog is left alone by `create_app`."""

from __future__ import annotations

import structlog

# Loggers configured by an in-process server are cached for good, and `capture_logs` of later tests would see nothing.
structlog.configure()
