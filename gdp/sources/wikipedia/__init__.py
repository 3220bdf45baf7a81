"""Wikipedia's page: fetching it, unwrapping saved copies, and reading its tables."""
