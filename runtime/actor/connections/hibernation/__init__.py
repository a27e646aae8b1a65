"""What makes a connection outlive its generation: its record, the watermark of handled messages, and when they are saved.

The other half, taking the records up again at the next start, is `restore.py` of the room around: it builds whole connections.
"""
