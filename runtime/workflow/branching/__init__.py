"""Branches of a workflow that run side by side: joined, or raced against each other."""
