"""A whole control plane in this process: records, namespaces, pools, supervisor, alarms, and its ASGI application."""
