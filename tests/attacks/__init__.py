"""What others do to a run, and what must hold all the same: `python -m tests.attacks` tries all and prints a table."""
