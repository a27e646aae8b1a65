"""The ASGI application: manager REST API, gateway routing, the HTTP and WebSocket faces of actors."""
