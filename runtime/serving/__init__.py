"""Serving: the application of a registry, the server around it, its limits, and the program that runs until a signal."""
