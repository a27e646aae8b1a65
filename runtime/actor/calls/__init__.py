"""Calls into user code: admission, actions, raw requests, hooks, and the context they get."""
