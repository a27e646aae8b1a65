"""Running the corpus in worker processes and collecting what they say."""
