"""Who starts, stops, wakes and addresses actors: a room per host, and beside them what hosts have in common."""
