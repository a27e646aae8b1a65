"""The corpus: what every runtime of durable actors must do, as tests that see it from outside only."""
