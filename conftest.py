"""Registers the harness plug-in, nothing else."""

pytest_plugins = ["harness.plugin"]
