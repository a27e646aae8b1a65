"""Connections that outlive their generation: persisted records, the watermark of handled messages, saving, restore at the next start."""
