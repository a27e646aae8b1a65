"""The connections of one actor: setup, subscriptions, hibernation, and the protocol of `/connect`."""
