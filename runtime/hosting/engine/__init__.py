"""A host of actors behind a Rivet Engine: this process is one of its envoys (ENGINE section 0)."""
