"""The state of one actor: the tracked value, and when it is saved."""
