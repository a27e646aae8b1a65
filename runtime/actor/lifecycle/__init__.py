"""The life of one generation: start, idle, grace, stop, and the work that keeps it awake."""
