"""The one port: the ASGI application, its entries for HTTP and WebSockets, and how a request finds its actor."""
