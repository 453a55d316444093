"""One phone: its facts, state, settings, lock and running jobs."""
