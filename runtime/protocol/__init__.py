"""Wire formats of the Rivet Actors protocol: pure functions, no input or output of their own."""
