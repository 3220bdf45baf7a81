"""What was said when? The tables, the past in them, and the two databases."""
