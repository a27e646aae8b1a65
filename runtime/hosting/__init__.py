"""Who starts, stops, wakes and addresses actors: the host of one process."""
