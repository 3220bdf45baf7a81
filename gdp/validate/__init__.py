"""Can it be trusted? A vintage by itself, against the last, and against other institutions."""
