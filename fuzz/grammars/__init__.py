"""What inputs are made of. Every function takes a source of chance and nothing else, so an input is known by its seed and number."""
