"""Hostile connections to a server that is really served, in a process of its own."""
