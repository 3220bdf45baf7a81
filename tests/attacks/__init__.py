"""Attacks on a run, by family: `python -m tests.attacks` tries all and prints a table."""
