"""What a failure leaves behind: the wire, the target's log and state, and how to do it again."""
