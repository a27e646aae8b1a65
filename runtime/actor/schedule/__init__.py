"""One-shot and cron schedules of one actor, and what became of their fires."""
