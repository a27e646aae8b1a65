"""What a decoder of the judge raises."""

from __future__ import annotations


class SchemaError(ValueError):
    """Bytes or text that the specification does not allow; the text says which rule they break."""
