"""Requests and WebSockets of clients as they come through the engine, answered by the same face and the same actors (ENGINE section 8)."""

from runtime.hosting.engine.tunnel.tunnel import Tunnel

__all__ = ["Tunnel"]
