"""What people and CI read of a run: HTML, Markdown, a badge, and the difference between two runs."""
