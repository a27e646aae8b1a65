"""Connections: one socket after the other, what is called and listened to on them, and when the next one is opened."""
