"""What is wrong with what a program gave to the client."""

from __future__ import annotations


class ConfigurationError(ValueError):
    """The client was given contradictory or malformed settings."""
