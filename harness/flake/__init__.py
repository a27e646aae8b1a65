"""How often tests fail, how sure that is, and why they do."""
