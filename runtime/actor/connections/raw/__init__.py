"""Raw WebSockets: what `on_web_socket` gets, and how such a socket ends."""
