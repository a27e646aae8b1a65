"""Open files of databases: how many there may be, which is closed first, and how it comes back."""
