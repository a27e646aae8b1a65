"""What both halves speak, the pytest plug-in and the orchestration: verdicts, results, and the stream of events they travel in."""
