"""The sub-commands of `conform`, one module each."""
