"""The host of actors whose places are decided by a Rivet Engine."""
