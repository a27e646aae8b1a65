"""The `conform` command. One module per sub-command; `options` holds what they share."""

from __future__ import annotations

from harness.cli.app import main

__all__ = ["main"]
