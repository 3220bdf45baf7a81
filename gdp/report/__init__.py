"""What do people ask? The screens, what changed, and the report."""
