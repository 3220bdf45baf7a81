"""What the stages are made of, a folder a question; imports point downwards, to records and utils."""
