"""The ledger: what is expected of a target, and the gate that compares."""
