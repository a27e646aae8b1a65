"""A whole control plane in this process.

`host` is what everything hangs on; `actor_keys`, `slot` and `records` know the actors, `supervisor` starts and stops them, `reach` finds a
live one for a request, `alarms` wakes them, `write_behind` makes what changed durable. `rest` is the manager API, `listener` the one port.
"""
