"""Hostile input by grammar, at every decoder and at a live server: `python -m fuzz`; docs/reference/fuzz.md describes it."""
