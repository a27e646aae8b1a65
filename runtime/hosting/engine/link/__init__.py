"""The connection of this process to its engine: it outlives sockets, and never waits for code of users (ENGINE sections 3 and 5)."""
