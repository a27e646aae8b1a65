"""What the source of a corpus says that a run of it cannot: tests nobody collects, checks that hold for everything."""
