"""Where rows and databases of actors are kept: the seams, and the stores in memory and in SQLite files."""
