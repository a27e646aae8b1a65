"""What a host counts, and the text that a scrape gets."""
