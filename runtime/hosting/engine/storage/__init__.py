"""The SQLite database of an actor at the engine, executed here on the pages that the engine keeps."""
