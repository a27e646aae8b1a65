"""What a driver test holds in its hands: marks, clock, boundaries, handles, latches, witnesses."""
