"""The rows of the runtime inside the database of the actor (section 3.2 of the storage specification)."""
