"""A whole control plane in this process.

`host` is what everything hangs on; `actor_keys`, `slot` and `records` know the actors, `supervisor` starts and stops them, `waking` does so
for requests and finds them the live one, `alarms` wakes them when they are due, `write_behind` makes what changed durable. `rest` is the
manager API, `listener` the one port.
"""
