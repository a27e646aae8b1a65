"""The durable queue of one actor."""
