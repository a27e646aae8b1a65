"""The form of one line of events, which a lane writes and the reader of a run holds it against."""

from __future__ import annotations

from pathlib import Path

# In a file of its own: the recorder of every lane needs the number, and none of them the validator.
VERSION = 1
SCHEMA = Path(__file__).parent / "schema.json"
"""JSON Schema of one line."""
