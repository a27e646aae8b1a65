"""What travels between an envoy and the engine: pure functions and values, protocol version 6 (ENGINE section 4)."""
