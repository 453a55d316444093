"""A single phone: properties, state, settings, locks and jobs."""
