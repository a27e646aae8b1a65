"""Throughput and latency of the reference runtime: `python -m bench`.

Every server runs in a process of its own and the load comes from a third one, so that neither shares a core with the other's event loop.
Throughput is a ratio to a bare uvicorn echo of the same payload, measured in interleaved rounds: a busy machine slows both alike.
"""
